"""A network over a whole scene: statistics in a first pass, then window by window, no seams."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor, nn

from fusiontrain.errors import SceneError
from fusiontrain.fusion.sensor_model import SensorModel
from fusiontrain.imaging.injection import (
    InjectionMoments,
    injection_images,
    injection_moments,
    statistics_from_moments,
)
from fusiontrain.imaging.pan_batch import PanBatch, Statistics
from fusiontrain.imaging.shift_estimation import shift_image
from fusiontrain.imaging.tiling import Box, WindowExtent, grid_step, tile_scene, window_at
from fusiontrain.scenes.scene import NOTHING, Window, WindowedScene

CORE = 1024  # PAN pixels a side of what a window writes
MULTIPLE_OF = 4  # PAN pixels; windows start where every network's own grid starts
AHEAD = 1  # windows read before their turn
SAMPLE = 2**24  # PAN pixels; scenes up to this size give their statistics from all of them
SAMPLE_SIDE, SAMPLE_COUNT = 512, 8  # larger ones from so many windows an axis, PAN pixels a side
STATISTICS_HALO = 12  # MS pixels: reach of blur and interpolation


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


@torch.inference_mode()
def scene_statistics(
    scene: WindowedScene, sensor_model: SensorModel, advance: Callable[[], None] = lambda: None
) -> Statistics:
    """Statistics of the scene, the same for all its windows, so that none shows its edge.

    Of every pixel of scenes up to SAMPLE; of larger ones, of windows spread evenly over them,
    or of every pixel after all where most of those windows are empty.
    """
    total: InjectionMoments | None = None
    for tiles in (_sampled(scene), scene_tiles(scene, halo=STATISTICS_HALO * scene.ratio)):
        total = None
        for tile, part in read_ahead(scene, tiles):
            advance()
            rows, columns = tile.core.scaled(scene.ratio).inside(tile.padded.scaled(scene.ratio))
            valid = part.valid[rows, columns]
            if not bool(valid.any()):
                continue
            images = injection_images(window_batch(scene, part, sensor_model))
            sums = injection_moments(images.crop(rows, columns), valid)
            total = sums if total is None else total + sums
        if total is not None and total.count > SAMPLE // 8:
            break
    if total is None or total.count == 0:
        raise SceneError(NOTHING)
    return statistics_from_moments(total)


def _sampled(scene: WindowedScene) -> list[WindowExtent]:
    """Windows that stand for a large scene; none for one that is looked at whole."""
    (h, w), ratio = scene.shape, scene.ratio
    step = grid_step(ratio, MULTIPLE_OF)
    side = SAMPLE_SIDE // ratio // step * step
    if h * w * ratio**2 <= SAMPLE or min(h, w) < side:
        return []
    return [
        reached
        for top in _spaced(h, side, step)
        for left in _spaced(w, side, step)
        if (reached := window_at(top, left, side, scene.shape, halo=STATISTICS_HALO, step=step))
    ]


def _spaced(size: int, side: int, step: int) -> list[int]:
    """Starts of up to SAMPLE_COUNT windows, from edge to edge."""
    last = (size - side) // step
    return sorted({round(i * last / (SAMPLE_COUNT - 1)) * step for i in range(SAMPLE_COUNT)})


def read_ahead(
    scene: WindowedScene, tiles: Iterable[WindowExtent]
) -> Iterator[tuple[WindowExtent, Window]]:
    """Every tile and its pixels, read by a thread of its own while the last one is worked on."""
    with ThreadPoolExecutor(1, "reading") as reader:
        waiting: deque[tuple[WindowExtent, Future[Window]]] = deque()
        try:
            for tile in tiles:
                waiting.append((tile, reader.submit(scene.read, tile.padded)))
                if len(waiting) > AHEAD:
                    first, part = waiting.popleft()
                    yield first, part.result()
            while waiting:
                first, part = waiting.popleft()
                yield first, part.result()
        finally:
            for _, part in waiting:
                part.cancel()


@torch.inference_mode()
def fuse_windows(
    scene: WindowedScene,
    net: nn.Module,
    sensor_model: SensorModel,
    *,
    halo: int,
    statistics: Statistics,
    core: int = CORE,
    device: torch.device | None = None,
    bf16: bool = False,
) -> Iterator[FusedWindow]:
    """Every window of the scene, fused; `halo` is the network's reach in PAN pixels."""
    device = device or torch.device("cpu")
    told = replace(
        statistics,
        **{f.name: getattr(statistics, f.name).to(device) for f in fields(statistics)},
    )
    tiles = scene_tiles(scene, halo=halo, core=core)
    for tile, part in read_ahead(scene, tiles):
        rows, columns = tile.core.scaled(scene.ratio).inside(tile.padded.scaled(scene.ratio))
        valid = part.valid[rows, columns]
        if not bool(valid.any()):
            yield empty_window(tile.core, scene.bands, valid)
            continue
        batch = window_batch(scene, part, sensor_model, told).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            fused = net(batch)[0]
        yield FusedWindow(core=tile.core, fused=fused[:, rows, columns].float().cpu(), valid=valid)


def empty_window(core: Box, bands: int, valid: Tensor) -> FusedWindow:
    """A window without a pixel of data: zeros that take no memory, since none is ever seen."""
    return FusedWindow(
        core=core, fused=torch.zeros(1, 1, 1).expand(bands, *valid.shape), valid=valid
    )


def fuse_scene(
    scene: WindowedScene, net: nn.Module, sensor_model: SensorModel, *, halo: int
) -> Tensor:
    """A scene small enough for memory, whole: (C, H, W) DN."""
    stats = scene_statistics(scene, sensor_model)
    return assemble(scene, fuse_windows(scene, net, sensor_model, halo=halo, statistics=stats))


def assemble(scene: WindowedScene, parts: Iterator[FusedWindow]) -> Tensor:
    h, w = (side * scene.ratio for side in scene.shape)
    out = torch.empty(scene.bands, h, w)
    for part in parts:
        fine = part.core.scaled(scene.ratio)
        out[:, fine.top : fine.bottom, fine.left : fine.right] = part.fused
    return out


def window_batch(
    scene: WindowedScene, part: Window, sensor_model: SensorModel, stats: Statistics | None = None
) -> PanBatch:
    """What a method sees of one window: PAN is moved to where the MS lies."""
    return PanBatch(
        ms=part.ms[None],
        pan=shift_image(part.pan, sensor_model.shift)[None],
        ratio=scene.ratio,
        phase=scene.phase,
        mtf=sensor_model.mtf[None],
        softness=sensor_model.softness[None],
        statistics=stats,
    )
