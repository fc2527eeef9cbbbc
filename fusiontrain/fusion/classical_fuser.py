"""A classical method over a whole scene: its moments in first passes, then window by window."""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from fusiontrain.classical.images import MethodInputs
from fusiontrain.classical.method import Method, softened
from fusiontrain.classical.statistics import (
    COARSE_STACKS,
    STACKS,
    Moments,
    SceneStatistics,
    StatisticsAccumulator,
    darkest_values,
)
from fusiontrain.errors import SceneError
from fusiontrain.fusion.fuser import no_progress
from fusiontrain.fusion.memory_plan import CORES, Cost, Plan
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
from fusiontrain.imaging.masks import ms_valid_mask
from fusiontrain.imaging.tiling import WindowExtent
from fusiontrain.scenes.scene import NO_DATA, Window, WindowedScene

DARK_SAMPLE = 2**22  # pixels whose darkest percentile stands for a large scene's
_CORE_PER_HALO = 22  # beyond it a window's margins are under a fifth of what is read


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassicalFuser:
    """A classical method. Satisfies Fuser."""

    method: Method
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def name(self) -> str:
        return self.method.name

    @property
    def blind(self) -> bool:
        return self.method.blind

    @property
    def target(self) -> None:
        return None

    @property
    def cost(self) -> Cost:
        return Cost(bytes_per_pixel=90, speed=8.0, passes=1 + len(self.method.stacks))

    @property
    def tags(self) -> dict[str, str]:
        return {"PANPRIOR_METHOD": self.name}

    def halo(self, ratio: int) -> int:
        return self.method.reach * ratio

    def largest_core(self, ratio: int) -> int:
        return max(CORES[-1], _CORE_PER_HALO * self.halo(ratio))

    def workers(self, threads: int) -> int:
        return threads

    def fuse(
        self,
        scene: WindowedScene,
        sensor_model: SensorModel,
        plan: Plan,
        *,
        advance: Callable[[int], None] = no_progress,
    ) -> Generator[FusedWindow, None, None]:
        yield from fuse_windows_classical(
            scene,
            self.method,
            sensor_model,
            core=plan.core,
            across=plan.across,
            fixed=plan.fixed,
            advance=advance,
            workers=plan.shared or Workers.of(plan.workers),
        )


@torch.inference_mode()
def collect_statistics(
    scene: WindowedScene,
    method: Method,
    sensor_model: SensorModel,
    advance: Callable[[int], None] = no_progress,
    workers: Workers = ALONE,
) -> StatisticsAccumulator:
    """What `method` must know of the whole scene: a pass for each of its stacks of images."""
    collected = StatisticsAccumulator()
    windows = len(scene_tiles(scene, halo=0)) * (len(method.stacks) + bool(method.darkest))
    counted = partial(advance, windows)
    for stack in method.stacks:
        sums = StatisticsAccumulator()
        inputs = _WindowInputs(scene, method, sensor_model, collected)
        tiles = inputs.tiles(CORE)
        for part in each_window(scene, tiles, partial(_moments, inputs, stack), workers):
            counted()
            if part is not None:
                sums.add(stack, part)
        if stack not in sums.moments or not sums.moments[stack].count:
            raise SceneError(NO_DATA)
        collected.moments |= sums.moments
    if method.darkest:
        inputs = _WindowInputs(scene, method, sensor_model, collected)
        collected.darkest = _darkest(inputs, counted, workers)
    return collected


def _moments(
    inputs: "_WindowInputs", stack: str, tile: WindowExtent, read: Window
) -> Moments | None:
    """Of the core of a window with data."""
    window = inputs.of(tile, read)
    if window.empty:
        return None
    channels = STACKS[stack](window.statistics.inputs, window.statistics)
    rows, columns, valid = window.core_of(stack)
    return Moments.of(channels[..., rows, columns], valid)


def _darkest(inputs: "_WindowInputs", counted: Callable[[], None], workers: Workers) -> Tensor:
    """(B, C) DN of the scene's darkest ground."""
    height, width = (side * inputs.scene.ratio for side in inputs.scene.shape)
    every = max(1, height * width // DARK_SAMPLE)

    def dark(tile: WindowExtent, read: Window) -> Tensor | None:
        window = inputs.of(tile, read)
        if window.empty:
            return None
        up = window.statistics.inputs.up[..., window.rows, window.columns]
        # Four bands go by a percentile, which a sample gives; others by the minimum.
        four = up.shape[1] == 4
        values = up[..., window.valid][..., :: every if four else 1]
        return values if four else values.amin(-1, keepdim=True)

    kept = []
    for values in each_window(inputs.scene, inputs.tiles(CORE), dark, workers):
        counted()
        if values is not None:
            kept.append(values)
    if not kept:
        raise SceneError(NO_DATA)
    return darkest_values(torch.cat(kept, -1))


@torch.inference_mode()
def fuse_windows_classical(
    scene: WindowedScene,
    method: Method,
    sensor_model: SensorModel,
    *,
    core: int = CORE,
    across: int = 1,
    fixed: bool = False,
    advance: Callable[[int], None] = no_progress,
    workers: Workers = ALONE,
) -> Generator[FusedWindow, None, None]:
    """Every window of the scene, fused by a classical method with the whole scene's statistics.

    The same pixels as in one piece, save for methods with a `window`, which solve for each
    window anew, of their own size or, where `fixed`, of `core` PAN pixels.
    Raises: SceneError for a scene in the toolbox's phase, whose borders wrap.
    """
    if scene.phase != "aligned":
        raise SceneError("the toolbox's phase wraps around the scene's edge: fuse it in one piece")
    collected = collect_statistics(scene, method, sensor_model, advance, workers)
    if method.window is not None and not fixed:
        core, across = method.window * scene.ratio, 1
    inputs = _WindowInputs(scene, method, sensor_model, collected)
    yield from each_window(scene, inputs.tiles(core, across), partial(_fused, inputs), workers)


def _fused(inputs: "_WindowInputs", tile: WindowExtent, read: Window) -> FusedWindow:
    window = inputs.of(tile, read)
    if window.empty:
        return empty_window(tile.core, inputs.scene.bands, window.valid)
    whole = inputs.method.formula(window.statistics.inputs, window.statistics)
    fused = whole.flatten(0, 1).float()[:, window.rows, window.columns]
    return FusedWindow(core=tile.core, fused=fused, valid=window.valid)


def fuse_classical(scene: WindowedScene, method: Method, sensor_model: SensorModel) -> Tensor:
    """A scene small enough for memory: (C, H, W) DN."""
    return assemble(scene, fuse_windows_classical(scene, method, sensor_model))


@dataclass(frozen=True, kw_only=True, slots=True)
class _MethodWindow:
    """One window as a method takes it: images of all that is read, of which the core counts."""

    tile: WindowExtent
    ratio: int
    statistics: SceneStatistics
    valid_read: Tensor  # (H, W) bool of all that is read

    @property
    def rows(self) -> slice:
        return core_slices(self.tile, self.ratio)[0]

    @property
    def columns(self) -> slice:
        return core_slices(self.tile, self.ratio)[1]

    @property
    def valid(self) -> Tensor:
        """(H, W) bool of the core."""
        return self.valid_read[self.rows, self.columns]

    @property
    def empty(self) -> bool:
        """No pixel of the core is data: there is nothing to compute and no statistics."""
        return not bool(self.valid.any())

    def core_of(self, stack: str) -> tuple[slice, slice, Tensor]:
        """The core's rows and columns, and its valid pixels, on the grid of `stack`."""
        if stack not in COARSE_STACKS:
            return self.rows, self.columns, self.valid
        rows, columns = self.tile.core.inside(self.tile.padded)
        return rows, columns, ms_valid_mask(self.valid_read, self.ratio)[rows, columns]


@dataclass(frozen=True, slots=True)
class _WindowInputs:
    """What makes a window of the scene one that a method takes."""

    scene: WindowedScene
    method: Method
    sensor_model: SensorModel
    collected: StatisticsAccumulator

    def tiles(self, core: int, across: int = 1) -> list[WindowExtent]:
        halo = self.method.reach * self.scene.ratio
        return scene_tiles(self.scene, halo=halo, core=core, across=across)

    def of(self, tile: WindowExtent, window: Window) -> _MethodWindow:
        batch = window_batch(self.scene, window, self.sensor_model)
        soft = softened(batch) if self.method.soft else batch
        inputs = MethodInputs(soft, self.sensor_model.sensor)
        return _MethodWindow(
            tile=tile,
            ratio=self.scene.ratio,
            statistics=SceneStatistics(inputs, self.collected),
            valid_read=window.valid,
        )
