"""A scene cut into windows, read ahead of their turn, and put together again."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor

from fusiontrain.fusion.sensor_model import SensorModel
from fusiontrain.imaging.pan_batch import PanBatch, Statistics
from fusiontrain.imaging.shift_estimation import shift_image
from fusiontrain.imaging.tiling import Box, WindowExtent, grid_step, tile_scene
from fusiontrain.scenes.scene import Window, WindowedScene

CORE = 1024  # PAN pixels a side of what a window writes
MULTIPLE_OF = 4  # PAN pixels; windows start where every network's own grid starts
AHEAD = 1  # windows read before their turn


@dataclass(frozen=True, kw_only=True, slots=True)
class FusedWindow:
    """One window's result: fused (C, H, W) DN and where it is data."""

    core: Box  # MS pixels
    fused: Tensor
    valid: Tensor


def scene_tiles(scene: WindowedScene, *, halo: int, core: int = CORE) -> list[WindowExtent]:
    """Windows of `core` PAN pixels with `halo` PAN pixels around them."""
    step = grid_step(scene.ratio, MULTIPLE_OF)
    side, margin = -(-core // scene.ratio), -(-halo // scene.ratio)
    return list(tile_scene(*scene.shape, side=side, halo=margin, step=step))


def read_ahead(
    scene: WindowedScene, tiles: Iterable[WindowExtent]
) -> Iterator[tuple[WindowExtent, Window]]:
    """Every tile and its pixels; a thread reads the next while the caller works on one."""
    with ThreadPoolExecutor(1, "reading") as reader:
        waiting: deque[tuple[WindowExtent, Future[Window]]] = deque()
        try:
            for tile in tiles:
                waiting.append((tile, reader.submit(scene.read, tile.padded)))
                if len(waiting) > AHEAD:
                    first, window = waiting.popleft()
                    yield first, window.result()
            while waiting:
                first, window = waiting.popleft()
                yield first, window.result()
        finally:
            for _, window in waiting:
                window.cancel()


def core_slices(tile: WindowExtent, ratio: int) -> tuple[slice, slice]:
    """Rows and columns of the tile's core in its pixels on the PAN's grid."""
    return tile.core.scaled(ratio).inside(tile.padded.scaled(ratio))


def window_batch(
    scene: WindowedScene,
    window: Window,
    sensor_model: SensorModel,
    statistics: Statistics | None = None,
) -> PanBatch:
    """Inputs of a method for one window: PAN is moved to where the MS lies.

    Bands with a PAN of their own are images of one band each, B of them.
    """
    batch = PanBatch(
        ms=window.ms[None],
        pan=shift_image(window.pan, sensor_model.shift)[None],
        ratio=scene.ratio,
        phase=scene.phase,
        mtf=sensor_model.mtf[None],
        softness=sensor_model.softness[None],
        statistics=statistics,
    )
    return batch.one_band_each() if batch.pan_per_band else batch


def empty_window(core: Box, bands: int, valid: Tensor) -> FusedWindow:
    """A window without a pixel of data: zeros, expanded so that they take no memory."""
    return FusedWindow(
        core=core, fused=torch.zeros(1, 1, 1).expand(bands, *valid.shape), valid=valid
    )


def assemble(scene: WindowedScene, windows: Iterable[FusedWindow]) -> Tensor:
    """(C, H, W) DN of all windows."""
    h, w = (side * scene.ratio for side in scene.shape)
    out = torch.empty(scene.bands, h, w)
    for window in windows:
        fine = window.core.scaled(scene.ratio)
        out[:, fine.top : fine.bottom, fine.left : fine.right] = window.fused
    return out
