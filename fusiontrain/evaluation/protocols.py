"""How methods are judged: Wald's protocol at reduced resolution, or the scene as it is.

A Case is what every method is told, the same for all; `judge` runs methods on it one by one.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import torch
from torch import Tensor, nn

from fusiontrain.classical import METHODS
from fusiontrain.classical.images import MethodInputs, SceneStatistics
from fusiontrain.classical.method import Method, softened
from fusiontrain.errors import MetricError, SceneError, ShapeError
from fusiontrain.fusion.classical_fuser import fuse_classical
from fusiontrain.fusion.sensor_model import (
    SensorModel,
    estimate_sensor_model,
    find_shift,
    measure_pair,
)
from fusiontrain.fusion.window_loop import fuse_scene
from fusiontrain.imaging.filters import degrade, reduce_pan
from fusiontrain.imaging.masks import eroded, ms_valid_mask
from fusiontrain.imaging.pan_batch import GridPhase, PanBatch
from fusiontrain.imaging.reference_toolbox import decimate, imresize_bicubic, mtf_filter
from fusiontrain.imaging.shift_estimation import NO_SHIFT, shift_image
from fusiontrain.metrics import (
    d_lambda_k,
    d_rho,
    d_s,
    ergas,
    psnr,
    q2n,
    sam,
    scc,
    ssim,
    uqi,
)
from fusiontrain.scenes.scene import LEAST_SIDE, Scene
from shards.sensors import Sensor

BORDER = 8  # pixels of the truth left out on each side: what lies beyond the edge is unknown
TOOLBOX_CUT = (20, 21)  # what its demonstration leaves out, at the start and at the end
BLOCK = 32  # full-resolution indices go by blocks of it
REACH = 6  # MS pixels around nodata that filters make doubtful
INDICES = {
    "reduced": ("SAM", "ERGAS", "Q2n", "Q", "SCC", "PSNR", "SSIM"),
    "full": ("D_lambda_K", "D_s", "HQNR", "HQNR_reg", "D_rho"),
}
BETTER_HIGH = frozenset({"Q2n", "Q", "SCC", "PSNR", "SSIM", "HQNR", "HQNR_reg"})
NETWORK = "network"
REGISTERED = " registered"  # what the names of classical methods on a registered PAN end with
MAX_SAMPLES = 2**26  # PAN pixels times bands that a benchmark holds in memory


@dataclass(frozen=True, kw_only=True)
class Case:
    """A scene as methods get it, and the truth where there is one."""

    name: str
    scene: Scene
    sensor_model: SensorModel
    truth: Tensor | None  # (C, H, W) DN; None at full resolution
    note: str = ""

    @property
    def protocol(self) -> str:
        return "full" if self.truth is None else "reduced"

    @property
    def batch(self) -> PanBatch:
        """The pair as it came."""
        return PanBatch(
            ms=self.scene.ms[None].float(),
            pan=self.scene.pan[None].float(),
            ratio=self.scene.ratio,
            mtf=self.sensor_model.mtf[None],
            softness=self.sensor_model.softness[None],
            phase=self.scene.phase,
        )

    @cached_property  # judged once a contender
    def registered(self) -> PanBatch:
        """PAN moved to where the MS lies, as networks get it."""
        return replace(
            self.batch, pan=shift_image(self.scene.pan.float(), self.sensor_model.shift)[None]
        )

    # Images and moments that classical methods share, made when first asked for.
    @cached_property
    def known(self) -> dict[tuple[bool, bool], SceneStatistics]:
        """(soft, registered) -> what classical methods are told."""
        return {}

    def tell(self, *, soft: bool, registered: bool) -> SceneStatistics:
        if (soft, registered) not in self.known:
            batch = self.registered if registered else self.batch
            frame = MethodInputs(softened(batch) if soft else batch, self.scene.sensor)
            self.known[soft, registered] = SceneStatistics(frame, valid=self.scene.valid)
        return self.known[soft, registered]


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """One method on one case."""

    method: str
    fused: Tensor  # (C, H, W) DN
    indices: dict[str, float]
    seconds: float  # to fuse


@dataclass(frozen=True, kw_only=True, slots=True)
class Contender:
    """A method under the name that tables give it: case -> fused (C, H, W) DN, None: not on it."""

    name: str
    fuse: Callable[[Case], Tensor | None]


def reduced(
    scene: Scene, *, softness: float | None = None, convention: GridPhase | None = None
) -> Case:
    """One level down, where the truth is known: the scene's own gt, or its MS by Wald's protocol.

    Wald: MS through a Gaussian per band at the sensor's MTF gain and decimated, PAN by
    antialiased bicubic; in the toolbox's `convention` by its own filters. The softness that
    the truth has is measured on the pair at its own resolution; where there is only a
    simulated pair, `softness` says it (default: the sensor's mean MTF gain).
    Source: Wald, Ranchin and Mangolini 1997, PE&RS 63(6):691-699.
    """
    # What is held is a level down, unless the data bring their truth.
    _check_memory(scene, MAX_SAMPLES * (scene.ratio**2 if scene.gt is None else 1))
    if scene.gt is not None:
        return _with_truth(scene, softness, convention)
    phase = convention or scene.phase
    ratio = scene.ratio
    h, w = (side // ratio * ratio for side in scene.shape)
    least = max(ratio * LEAST_SIDE, 2 * BORDER + BLOCK)
    if min(h, w) < least:
        raise SceneError(
            f"{scene.name}: Wald's protocol at ratio {ratio} needs {least} MS pixels a side; "
            f"got {scene.shape[0]}x{scene.shape[1]}"
        )
    ms, pan = scene.ms[:, :h, :w].double(), scene.pan[:, : h * ratio, : w * ratio].double()
    gains = scene.sensor.gains(scene.bands)
    mtf = torch.tensor(gains)
    if phase == "toolbox":
        low = decimate(mtf_filter(ms[None], gains, ratio)[0], ratio)
        less = imresize_bicubic(pan, ratio)
    else:
        low = degrade(ms[None], mtf[None].double(), ratio)[0]
        less = reduce_pan(pan[None], ratio)[0]
    valid = None
    if scene.valid is not None:
        # An MS pixel counts if all PAN pixels over it do, and all that filters mix into it.
        whole = ms_valid_mask(scene.valid[: h * ratio, : w * ratio], ratio)
        valid = eroded(whole, REACH * ratio)
        if not bool(valid.any()):
            raise SceneError(f"{scene.name}: nodata leaves nothing to judge; cut out a fuller part")
    told = measure_pair(scene).softness if softness is None else softness
    seen = None if valid is None else ms_valid_mask(valid, ratio)
    shift = find_shift(low, less, float(mtf.mean()), ratio, seen, phase)
    return Case(
        name=scene.name,
        scene=replace(
            scene,
            ms=low.float(),
            pan=less.float(),
            valid=valid,
            phase=phase,
            geo=None,
        ),
        sensor_model=SensorModel(
            mtf=mtf, softness=torch.full_like(mtf, told), sensor=scene.sensor, shift=shift
        ),
        truth=ms.float(),
        note=_sentences(scene.note, f"Wald's protocol, {phase} phase"),
    )


def full(scene: Scene, *, convention: GridPhase | None = None) -> Case:
    """The scene as it is, without a truth; cut at the right and below to whole blocks of 32."""
    _check_memory(scene, MAX_SAMPLES)
    ratio = scene.ratio
    step = math.lcm(BLOCK, ratio)
    H, W = (side // step * step for side in scene.pan.shape[1:])
    if min(H, W) < 2 * BLOCK:
        least = math.ceil(2 * BLOCK / step) * step
        raise SceneError(
            f"{scene.name}: full resolution needs {least} PAN pixels a side; "
            f"got {scene.pan.shape[1]}x{scene.pan.shape[2]}"
        )
    told = estimate_sensor_model(scene, sensor=scene.sensor, softness=None)
    return Case(
        name=scene.name,
        scene=replace(
            scene,
            ms=scene.ms[:, : H // ratio, : W // ratio],
            pan=scene.pan[:, :H, :W],
            gt=None,
            valid=None if scene.valid is None else scene.valid[:H, :W],
            phase=convention or scene.phase,
        ),
        sensor_model=told,
        truth=None,
        note=_sentences(scene.note, "The scene at its own resolution; no truth is known"),
    )


def classical(names: Sequence[str], *, registered: bool = False) -> list[Contender]:
    """Classical methods by name, on the pair as it came or on a PAN moved to where the MS lies.

    Raises: SceneError naming those there are.
    """
    if unknown := [name for name in names if name not in METHODS]:
        raise SceneError(f"no method {', '.join(unknown)}; have: {', '.join(METHODS)}")
    ending = REGISTERED if registered else ""
    return [
        Contender(name=name + ending, fuse=partial(_classical, METHODS[name], registered))
        for name in names
    ]


def network(net: nn.Module, halo: Callable[[int], int], name: str = NETWORK) -> Contender:
    """`halo`: ratio -> PAN pixels to read around a window."""

    def fuse(case: Case) -> Tensor:
        return fuse_scene(case.scene, net, case.sensor_model, halo=halo(case.scene.ratio))

    return Contender(name=name, fuse=fuse)


@torch.inference_mode()
def judge(case: Case, contenders: Sequence[Contender]) -> Iterator[Result]:
    """Every contender on one case, as soon as it is done."""
    for contender in contenders:
        begun = time.perf_counter()
        fused = contender.fuse(case)
        seconds = time.perf_counter() - begun
        if fused is None:
            continue
        yield Result(
            method=contender.name,
            fused=fused,
            indices=_indices(case, fused),
            seconds=seconds,
        )


def _classical(method: Method, registered: bool, case: Case) -> Tensor:
    scene = case.scene
    if method.window and scene.phase == "aligned" and max(scene.shape) > 2 * method.window:
        told = case.sensor_model if registered else replace(case.sensor_model, shift=NO_SHIFT)
        return fuse_classical(scene, method, told)
    known = case.tell(soft=method.soft, registered=registered)
    return method.on(known.frame, known)[0].float()


def _with_truth(scene: Scene, softness: float | None, convention: GridPhase | None) -> Case:
    if min(scene.pan.shape[1:]) < 2 * BORDER + BLOCK:
        raise SceneError(
            f"{scene.name}: the indices need {2 * BORDER + BLOCK} PAN pixels a side; "
            f"got {scene.pan.shape[1]}x{scene.pan.shape[2]}"
        )
    if convention is not None:
        scene = replace(scene, phase=convention)
    gains = torch.tensor(scene.sensor.gains(scene.bands))
    told = float(gains.mean()) if softness is None else softness
    if scene.phase == "toolbox":
        sensor_model = SensorModel(
            mtf=gains,
            softness=torch.full_like(gains, told),
            sensor=scene.sensor,
            shift=measure_pair(scene).shift,
        )
        how = "the sensor's MTF"
    else:
        # What only classical methods ask of the sensor, PAN's own gain, is known all the same.
        sensor_model = replace(
            estimate_sensor_model(scene, sensor=None, softness=told), sensor=scene.sensor
        )
        how = "an MTF measured on the pair"
    return Case(
        name=scene.name,
        scene=replace(scene, gt=None),
        sensor_model=sensor_model,
        truth=scene.gt,
        note=_sentences(scene.note, f"The data's own truth, {scene.phase} phase, {how}"),
    )


def _sentences(*parts: str) -> str:
    return " ".join(f"{part[0].upper()}{part[1:].rstrip('.')}." for part in parts if part)


def _check_memory(scene: Scene, most: int) -> None:
    samples = scene.pan.numel() * scene.bands
    if samples > most:
        raise SceneError(
            f"{scene.name}: the benchmark holds scenes in memory, up to {most} samples; got "
            f"{scene.bands}x{scene.pan.shape[1]}x{scene.pan.shape[2]}: cut a piece (gdal_translate "
            "-srcwin)"
        )


def _indices(case: Case, fused: Tensor) -> dict[str, float]:
    if case.truth is None:
        return _full_indices(case, fused)
    side = min(case.truth.shape[1:])
    start, stop = BORDER, BORDER
    if case.scene.phase == "toolbox" and side - sum(TOOLBOX_CUT) >= BLOCK:
        start, stop = TOOLBOX_CUT
    rim = slice(start, -stop)
    truth, seen = case.truth[:, rim, rim], fused[:, rim, rim]
    valid = None if case.scene.valid is None else case.scene.valid[rim, rim]
    bits, ratio = case.scene.bits, case.scene.ratio
    return _measured(
        {
            "SAM": lambda: sam(truth, seen, valid=valid),
            "ERGAS": lambda: ergas(truth, seen, ratio=ratio, valid=valid),
            "Q2n": lambda: q2n(truth, seen, valid=valid),
            "Q": lambda: uqi(truth, seen, valid=valid),
            "SCC": lambda: scc(truth, seen, valid=valid),
            "PSNR": lambda: psnr(truth, seen, bits=bits, valid=valid),
            "SSIM": lambda: ssim(truth, seen, bits=bits, valid=valid),
        }
    )


def _measured(indices: dict[str, Callable[[], Tensor]]) -> dict[str, float]:
    """NaN, which tables show as a dash, where nodata leaves an index nothing to go by."""
    values = {}
    for name, index in indices.items():
        try:
            values[name] = float(index())
        except (MetricError, ShapeError):
            values[name] = math.nan
    return values


def _full_indices(case: Case, fused: Tensor) -> dict[str, float]:
    scene, valid = case.scene, case.scene.valid
    ms, pan, ratio, phase = scene.ms, scene.pan, scene.ratio, scene.phase
    gains = scene.sensor.gains(scene.bands)
    indices = {
        "D_lambda_K": lambda: d_lambda_k(
            fused, ms, mtf=gains, ratio=ratio, convention=phase, valid=valid
        ),
        "D_s": lambda: d_s(fused, ms, pan, ratio=ratio, convention=phase, valid=valid),
        "D_rho": lambda: d_rho(fused, pan, ratio=ratio, valid=valid),
    }
    if case.sensor_model.shift != NO_SHIFT:
        # Beside a PAN that lies elsewhere than the MS, D_s blames whoever keeps the MS's place.
        moved = case.registered.pan[0].to(pan.dtype)
        indices["D_s_reg"] = lambda: d_s(
            fused, ms, moved, ratio=ratio, convention=phase, valid=valid
        )
    values = _measured(indices)
    values.setdefault("D_s_reg", values["D_s"])
    for name, spatial in (("HQNR", "D_s"), ("HQNR_reg", "D_s_reg")):
        values[name] = (1 - values["D_lambda_K"]) * (1 - values[spatial])
    return {name: values[name] for name in INDICES["full"]}


def mean_softness(scenes: Sequence[tuple[Sensor, float]]) -> dict[str, float]:
    """Sensor's name -> mean of the softness measured on its scenes."""
    grouped: dict[str, list[float]] = {}
    for sensor, measured in scenes:
        grouped.setdefault(sensor.name, []).append(measured)
    return {name: sum(values) / len(values) for name, values in grouped.items()}
