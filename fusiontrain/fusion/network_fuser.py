"""A network over a whole scene: statistics in a first pass, then window by window, no seams."""

from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, fields, replace
from functools import partial

import torch
from torch import Tensor, nn

from fusiontrain.errors import SceneError
from fusiontrain.fusion.device_windows import DeviceWindows
from fusiontrain.fusion.flip_ensemble import FLIPS, FlipEnsemble
from fusiontrain.fusion.fuser import no_progress
from fusiontrain.fusion.half_precision import check_half_precision
from fusiontrain.fusion.memory_plan import CORES, Cost, Plan
from fusiontrain.fusion.sampled_tiles import SAMPLE, STATISTICS_HALO, sampled_tiles
from fusiontrain.fusion.sensor_model import SensorModel
from fusiontrain.fusion.window_loop import (
    ALONE,
    CORE,
    FusedWindow,
    Workers,
    assemble,
    core_slices,
    each_window,
    empty_window,
    scene_tiles,
    window_batch,
)
from fusiontrain.imaging.filters import upsample
from fusiontrain.imaging.injection import (
    InjectionMoments,
    injection_images,
    injection_moments,
    statistics_from_moments,
)
from fusiontrain.imaging.level_correction import REACH, GuidedImages, LevelCorrection, corrected
from fusiontrain.imaging.pan_batch import Statistics
from fusiontrain.imaging.tiling import Box, WindowExtent
from fusiontrain.models.model_entry import ModelEntry
from fusiontrain.models.target import Target
from fusiontrain.scenes.scene import NO_DATA, Window, WindowedScene


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkFuser:
    """A network with its weights. Satisfies Fuser."""

    net: nn.Module = field(repr=False)
    entry: ModelEntry
    digest: str  # sha256 of the weights' file
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    bf16: bool = False
    target: Target = "sensor"  # what the weights were trained to give
    flips: bool = False  # the mean of eight flips: eight times the time
    correction: LevelCorrection | None = None  # of bands fused by guides

    @property
    def name(self) -> str:
        return self.entry.name

    @property
    def blind(self) -> bool:
        return False

    @property
    def cost(self) -> Cost:
        if self.device.type == "cuda":
            # Calculated: tensors alive at once with all bands together, 104 bytes, half more for
            # cuDNN's workspaces; `python -m bench.gpu` measures both.
            return Cost(bytes_per_pixel=160, speed=50.0 / self.runs, passes=1.3)
        own = getattr(self.net, "bytes_per_pixel", 140)
        return Cost(
            # Of flips: the turned inputs and the sum.
            bytes_per_pixel=own + (16 if self.flips else 0),
            speed=1.5 / self.runs,
            passes=1.3,
        )

    @property
    def runs(self) -> int:
        """How often the network runs on a window."""
        return FLIPS if self.flips else 1

    @property
    def tags(self) -> dict[str, str]:
        return {
            "PANPRIOR_METHOD": self.name,
            "PANPRIOR_MODEL": self.name,
            "PANPRIOR_TARGET": self.target,
            "PANPRIOR_WEIGHTS_SHA256": self.digest,
            "PANPRIOR_PRECISION": "bf16" if self.bf16 else "float32",
            "PANPRIOR_QUALITY": f"mean of {FLIPS} flips" if self.flips else "one run",
        }

    def halo(self, ratio: int) -> int:
        return self.entry.halo(ratio)

    def largest_core(self, ratio: int) -> int:  # noqa: ARG002 - the interface's
        return CORES[0]

    def workers(self, threads: int) -> int:
        return threads if self.device.type == "cpu" else 1  # a GPU computes a window by itself

    def fuse(
        self,
        scene: WindowedScene,
        sensor_model: SensorModel,
        plan: Plan,
        *,
        advance: Callable[[int], None] = no_progress,
    ) -> Generator[FusedWindow, None, None]:
        workers = plan.shared or Workers.of(plan.workers)
        statistics = scene_statistics(scene, sensor_model, advance, workers)
        if self.bf16:
            check_half_precision(
                scene, self.net, sensor_model, statistics, halo=plan.halo, device=self.device
            )
        yield from fuse_windows(
            scene,
            FlipEnsemble(self.net) if self.flips else self.net,
            sensor_model,
            halo=plan.halo,
            statistics=statistics,
            core=plan.core,
            across=plan.across,
            device=self.device,
            bf16=self.bf16,
            correction=self.correction,
            workers=workers,
        )


@torch.inference_mode()
def scene_statistics(
    scene: WindowedScene,
    sensor_model: SensorModel,
    advance: Callable[[int], None] = no_progress,
    workers: Workers = ALONE,
) -> Statistics:
    """Statistics of the scene, the same for all its windows, so that none shows its edge.

    Of every pixel of scenes up to SAMPLE; of larger ones, of windows spread evenly over them,
    or of every pixel after all where most of those windows are empty.
    """

    def moments(tile: WindowExtent, window: Window) -> InjectionMoments | None:
        rows, columns = core_slices(tile, scene.ratio)
        valid = window.valid[rows, columns]
        if not bool(valid.any()):
            return None
        images = injection_images(window_batch(scene, window, sensor_model))
        whole = bool(valid.all())
        return injection_moments(images.crop(rows, columns), None if whole else valid)

    total: InjectionMoments | None = None
    for tiles in (sampled_tiles(scene), scene_tiles(scene, halo=STATISTICS_HALO * scene.ratio)):
        total = None
        for sums in each_window(scene, tiles, moments, workers):
            advance(len(tiles))
            if sums is not None:
                total = sums if total is None else total + sums
        if total is not None and total.count > SAMPLE // 8:
            break
    if total is None or total.count == 0:
        raise SceneError(NO_DATA)
    return statistics_from_moments(total)


@torch.inference_mode()
def fuse_windows(
    scene: WindowedScene,
    net: nn.Module,
    sensor_model: SensorModel,
    *,
    halo: int,
    statistics: Statistics,
    core: int = CORE,
    across: int = 1,
    device: torch.device | None = None,
    bf16: bool = False,
    correction: LevelCorrection | None = None,
    workers: Workers = ALONE,
) -> Generator[FusedWindow, None, None]:
    """Every window of the scene, fused; `halo` is the network's reach in PAN pixels."""
    device = device or torch.device("cpu")
    on_device = replace(
        statistics,
        **{f.name: getattr(statistics, f.name).to(device) for f in fields(statistics)},
    )
    windows = DeviceWindows(net=net, device=device, halo=-(-halo // scene.ratio), bf16=bf16)
    margin = 0 if correction is None else REACH
    tiles = scene_tiles(scene, halo=halo + margin * scene.ratio, core=core, across=across)

    def begin(tile: WindowExtent, window: Window) -> Callable[[], FusedWindow]:
        rows, columns = core_slices(tile, scene.ratio)
        valid = window.valid[rows, columns]
        if not bool(valid.any()):
            return partial(empty_window, tile.core, scene.bands, valid)
        batch = window_batch(scene, window, sensor_model, on_device)
        wide = tile.widened(margin)
        fused = windows.start(batch, wide)
        if correction is not None:
            fused = partial(_corrected, fused, tile, wide, window, correction, scene)
        return partial(_result, tile.core, fused, valid)

    if workers.count > 1:
        yield from each_window(scene, tiles, lambda *given: begin(*given)(), workers)
        return
    pending: deque[Callable[[], FusedWindow]] = deque()
    for begun in each_window(scene, tiles, begin):
        pending.append(begun)
        del begun
        while len(pending) > windows.in_flight:
            yield pending.popleft()()
    while pending:
        yield pending.popleft()()


def _result(core: Box, fused: Callable[[], Tensor], valid: Tensor) -> FusedWindow:
    return FusedWindow(core=core, fused=fused(), valid=valid)


def _corrected(
    fused: Callable[[], Tensor],
    tile: WindowExtent,
    wide: WindowExtent,
    window: Window,
    correction: LevelCorrection,
    scene: WindowedScene,
) -> Tensor:
    """(C, H, W) DN of the tile's core, of what was fused of a wider one."""
    ratio, phase = scene.ratio, scene.phase
    rows, columns = core_slices(wide, ratio)
    down, along = wide.core.inside(wide.padded)
    ms = window.ms[:, down, along]
    assert window.guides is not None  # a correction is of a scene with guides
    images = GuidedImages(
        fused=fused(),
        pan=window.pan[:, rows, columns],
        up=upsample(ms[None], ratio, phase)[0],
        guides=window.guides[:, rows, columns],
    )
    valid = window.valid[rows, columns]
    made = corrected(images, correction, ms, valid, ratio, phase)
    rows, columns = tile.core.scaled(ratio).inside(wide.core.scaled(ratio))
    return made[:, rows, columns]


def fuse_network(
    scene: WindowedScene, net: nn.Module, sensor_model: SensorModel, *, halo: int
) -> Tensor:
    """A scene small enough for memory, whole, where the network lies: (C, H, W) DN on the CPU."""
    stats = scene_statistics(scene, sensor_model)
    device = next((weight.device for weight in net.parameters()), None)
    return assemble(
        scene,
        fuse_windows(scene, net, sensor_model, halo=halo, statistics=stats, device=device),
    )
