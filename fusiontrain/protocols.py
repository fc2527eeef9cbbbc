"""How methods are judged: Wald's protocol at reduced resolution, or against a simulated truth."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fusiontrain.batch import PanBatch
from fusiontrain.classical import METHODS
from fusiontrain.errors import SceneError
from fusiontrain.filters import degrade, reduce_pan
from fusiontrain.fusing import fuse_scene
from fusiontrain.knowledge import Knowledge, measure_softness
from fusiontrain.metrics import ergas, q2n, sam, scc
from fusiontrain.scenes.scene import LEAST_SIDE, Scene, Windows
from fusiontrain.tiles import Box
from shards.sensors import NOMINAL_MS, find_sensor

RIM = 8  # pixels of the truth left out on each side: what lies beyond the edge is unknown
INDICES = ("ERGAS", "SAM", "Q2n", "SCC")
BETTER_HIGH = frozenset({"Q2n", "SCC"})
NETWORK = "network"
MAX_PIXELS = 2**26  # PAN pixels times bands that a benchmark holds in memory


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A scene with a truth to compare with. All methods are told the same."""

    name: str
    scene: Scene
    knowledge: Knowledge
    truth: Tensor  # (C, H, W) DN

    @property
    def batch(self) -> PanBatch:
        return PanBatch(
            ms=self.scene.ms[None],
            pan=self.scene.pan[None],
            ratio=self.scene.ratio,
            mtf=self.knowledge.mtf[None],
            softness=self.knowledge.softness[None],
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """One method on one case."""

    method: str
    fused: Tensor  # (C, H, W) DN
    indices: dict[str, float]


def wald(scene: Windows, *, sensor: str | None, name: str) -> Case:
    """The scene one level down: the MS is the truth, MS and PAN are degraded to make the inputs.

    MS by a Gaussian per band at the sensor's MTF gain (0.30 without a row), area-aligned; PAN
    by antialiased bicubic. The softness of the truth is measured on the pair at its own
    resolution. Source: Wald, Ranchin and Mangolini 1997, PE&RS 63(6):691-699.
    """
    ratio = scene.ratio
    h, w = (side // ratio * ratio for side in scene.shape)
    if min(h, w) < max(ratio * LEAST_SIDE, 2 * RIM + 32):
        raise SceneError(
            f"Wald's protocol at ratio {ratio} needs {max(ratio * LEAST_SIDE, 2 * RIM + 32)} MS "
            f"pixels a side; got {scene.shape[0]}x{scene.shape[1]}"
        )
    if h * w * ratio**2 * scene.bands > MAX_PIXELS * ratio**2:
        raise SceneError(
            f"the benchmark holds scenes in memory, up to {MAX_PIXELS} MS samples; got "
            f"{scene.bands}x{h}x{w}: cut a piece (gdal_translate -srcwin)"
        )
    part = scene.read(Box(top=0, left=0, bottom=h, right=w))
    if not bool(part.valid.all()):
        raise SceneError("the benchmark needs a scene without nodata; cut out a full piece")
    gains = (
        (NOMINAL_MS,) * scene.bands if sensor is None else find_sensor(sensor).gains(scene.bands)
    )
    mtf = torch.tensor(gains)
    softness = torch.full_like(mtf, measure_softness(scene))
    return Case(
        name=name,
        scene=Scene(
            name=name,
            ms=degrade(part.ms[None], mtf[None], ratio)[0],
            pan=reduce_pan(part.pan[None], ratio)[0],
        ),
        knowledge=Knowledge(mtf=mtf, softness=softness),
        truth=part.ms,
    )


@torch.inference_mode()
def judge(
    case: Case, net: nn.Module, *, halo: int, advance: Callable[[], None] = lambda: None
) -> list[Result]:
    """Every classical method and the network on one case, the network last."""
    results = []
    for name, method in METHODS.items():
        results.append(_result(case, name, method(case.batch)[0]))
        advance()
    fused = fuse_scene(case.scene, net, case.knowledge, halo=halo)
    results.append(_result(case, NETWORK, fused))
    advance()
    return results


def num_methods() -> int:
    return len(METHODS) + 1


def _result(case: Case, method: str, fused: Tensor) -> Result:
    rim = slice(RIM, -RIM)
    truth, seen = case.truth[:, rim, rim], fused[:, rim, rim]
    indices = {
        "ERGAS": float(ergas(truth, seen, ratio=case.scene.ratio)),
        "SAM": float(sam(truth, seen)),
        "Q2n": float(q2n(truth, seen)),
        "SCC": float(scc(truth, seen)),
    }
    return Result(method=method, fused=fused, indices=indices)


def best(results: list[Result], index: str) -> float:
    values = [result.indices[index] for result in results]
    return max(values) if index in BETTER_HIGH else min(values)


def as_table(results: list[Result]) -> str:
    """Plain text, one method a line, the best of each index starred."""
    lines = ["method".ljust(18) + "".join(name.rjust(10) for name in INDICES)]
    for result in results:
        cells = []
        for index in INDICES:
            value = result.indices[index]
            star = "*" if value == best(results, index) else " "
            cells.append(f"{value:.4f}{star}".rjust(10))
        lines.append(result.method.ljust(18) + "".join(cells))
    return "\n".join(lines)
