"""A classical method over a whole scene: its moments in first passes, then window by window."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from fusiontrain.classical.images import (
    COARSE_STACKS,
    STACKS,
    MethodInputs,
    SceneStatistics,
    StatisticsAccumulator,
    darkest_values,
)
from fusiontrain.classical.method import Method, softened
from fusiontrain.classical.statistics import Moments
from fusiontrain.errors import SceneError
from fusiontrain.fusion.sensor_model import SensorModel
from fusiontrain.fusion.window_loop import (
    CORE,
    FusedWindow,
    assemble,
    empty_window,
    read_ahead,
    scene_tiles,
    window_batch,
)
from fusiontrain.imaging.masks import ms_valid_mask
from fusiontrain.imaging.tiling import Box
from fusiontrain.scenes.scene import NOTHING, Window, WindowedScene

DARK_SAMPLE = 2**22  # pixels whose darkest percentile stands for a large scene's


@torch.inference_mode()
def collect_statistics(
    scene: WindowedScene, method: Method, sensor_model: SensorModel
) -> StatisticsAccumulator:
    """What `method` must know of the whole scene: a pass for each of its stacks of images."""
    collected = StatisticsAccumulator()
    for stack in method.stacks:
        found = StatisticsAccumulator()
        for window in _windows(scene, method, sensor_model, collected, core=CORE):
            if window.empty:
                continue
            channels = STACKS[stack](window.known.frame, window.known)
            rows, columns, valid = window.on(COARSE_STACKS, stack)
            found.add(stack, Moments.of(channels[..., rows, columns], valid))
        if stack not in found.moments or not found.moments[stack].count:
            raise SceneError(NOTHING)
        collected.moments |= found.moments
    if method.darkest:
        height, width = (side * scene.ratio for side in scene.shape)
        every = max(1, height * width // DARK_SAMPLE)
        kept = []
        for window in _windows(scene, method, sensor_model, collected, core=CORE):
            if window.empty:
                continue
            up = window.known.frame.up[..., window.rows, window.columns]
            # Four bands go by a percentile, which a sample gives; others by the minimum.
            values = up[..., window.valid][..., :: every if scene.bands == 4 else 1]
            kept.append(values if scene.bands == 4 else values.amin(-1, keepdim=True))
        if not kept:
            raise SceneError(NOTHING)
        collected.darkest = darkest_values(torch.cat(kept, -1))
    return collected


@torch.inference_mode()
def fuse_windows_classical(
    scene: WindowedScene, method: Method, sensor_model: SensorModel, *, core: int = CORE
) -> Iterator[FusedWindow]:
    """Every window of the scene, fused by a classical method that knows the whole scene.

    The same pixels as in one piece, save for methods with a `window`, which solve for each
    window anew. Raises: SceneError for a scene in the toolbox's phase, whose borders wrap.
    """
    if scene.phase != "aligned":
        raise SceneError("the toolbox's phase wraps around the scene's edge: fuse it in one piece")
    collected = collect_statistics(scene, method, sensor_model)
    core = core if method.window is None else method.window * scene.ratio
    for window in _windows(scene, method, sensor_model, collected, core=core):
        if window.empty:
            yield empty_window(window.core, scene.bands, window.valid)
            continue
        fused = method.on(window.known.frame, window.known)[0].float()
        yield FusedWindow(
            core=window.core, fused=fused[:, window.rows, window.columns], valid=window.valid
        )


def fuse_classical(scene: WindowedScene, method: Method, sensor_model: SensorModel) -> Tensor:
    """A scene small enough for memory: (C, H, W) DN."""
    return assemble(scene, fuse_windows_classical(scene, method, sensor_model))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Window:
    core: Box  # MS pixels
    seen: Box
    ratio: int
    known: SceneStatistics
    part: Window

    @property
    def rows(self) -> slice:
        return self.core.scaled(self.ratio).inside(self.seen.scaled(self.ratio))[0]

    @property
    def columns(self) -> slice:
        return self.core.scaled(self.ratio).inside(self.seen.scaled(self.ratio))[1]

    @property
    def valid(self) -> Tensor:
        return self.part.valid[self.rows, self.columns]

    @property
    def empty(self) -> bool:
        """Nothing in the core is data: nothing need be computed, and nothing is learnt of it."""
        return not bool(self.valid.any())

    def on(self, coarse: frozenset[str], stack: str) -> tuple[slice, slice, Tensor]:
        """The core's rows and columns, and its valid pixels, on the grid of `stack`."""
        if stack not in coarse:
            return self.rows, self.columns, self.valid
        rows, columns = self.core.inside(self.seen)
        return rows, columns, ms_valid_mask(self.part.valid, self.ratio)[rows, columns]


def _windows(
    scene: WindowedScene,
    method: Method,
    sensor_model: SensorModel,
    collected: StatisticsAccumulator,
    *,
    core: int,
) -> Iterator[_Window]:
    tiles = scene_tiles(scene, halo=method.reach * scene.ratio, core=core)
    for tile, part in read_ahead(scene, tiles):
        batch = window_batch(scene, part, sensor_model)
        frame = MethodInputs(softened(batch) if method.soft else batch, sensor_model.sensor)
        yield _Window(
            core=tile.core,
            seen=tile.padded,
            ratio=scene.ratio,
            known=SceneStatistics(frame, collected),
            part=part,
        )
