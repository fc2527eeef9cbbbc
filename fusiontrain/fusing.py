"""A network over a whole scene: statistics in a first pass, then window by window, no seams."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fusiontrain.batch import PanBatch, Statistics
from fusiontrain.errors import SceneError
from fusiontrain.injection import Moments, inject, moments, statistics
from fusiontrain.knowledge import Knowledge
from fusiontrain.scenes.scene import Part, Windows
from fusiontrain.tiles import Box, Tile, grid_step, tile_scene

CORE = 1024  # PAN pixels a side of what a window writes
MULTIPLE_OF = 4  # PAN pixels; windows start where every network's own grid starts
STATISTICS_HALO = 12  # MS pixels: reach of blur and interpolation


@dataclass(frozen=True, kw_only=True, slots=True)
class FusedPart:
    """One window's result: fused (C, H, W) DN and where it is data."""

    core: Box  # MS pixels
    fused: Tensor
    valid: Tensor


def scene_tiles(scene: Windows, *, halo: int, core: int = CORE) -> list[Tile]:
    """Windows of `core` PAN pixels with `halo` PAN pixels around them."""
    step = grid_step(scene.ratio, MULTIPLE_OF)
    side, margin = -(-core // scene.ratio), -(-halo // scene.ratio)
    return list(tile_scene(*scene.shape, side=side, halo=margin, step=step))


@torch.inference_mode()
def scene_statistics(
    scene: Windows, knowledge: Knowledge, advance: Callable[[], None] = lambda: None
) -> Statistics:
    """Statistics of the whole scene, as one pass over all pixels would give them."""
    total: Moments | None = None
    for tile in scene_tiles(scene, halo=STATISTICS_HALO * scene.ratio):
        part = scene.read(tile.seen)
        images = inject(window_batch(scene, part, knowledge))
        rows, columns = tile.core.scaled(scene.ratio).inside(tile.seen.scaled(scene.ratio))
        sums = moments(images.cut(rows, columns), part.valid[rows, columns])
        total = sums if total is None else total + sums
        advance()
    if total is None or total.count == 0:
        raise SceneError("no pixel has data in both PAN and MS; look at their nodata values")
    return statistics(total)


@torch.inference_mode()
def fuse_windows(
    scene: Windows,
    net: nn.Module,
    knowledge: Knowledge,
    *,
    halo: int,
    statistics: Statistics,
    core: int = CORE,
) -> Iterator[FusedPart]:
    """Every window of the scene, fused; `halo` is the network's reach in PAN pixels."""
    for tile in scene_tiles(scene, halo=halo, core=core):
        part = scene.read(tile.seen)
        fused = net(window_batch(scene, part, knowledge, statistics))[0]
        rows, columns = tile.core.scaled(scene.ratio).inside(tile.seen.scaled(scene.ratio))
        yield FusedPart(
            core=tile.core, fused=fused[:, rows, columns], valid=part.valid[rows, columns]
        )


def fuse_scene(scene: Windows, net: nn.Module, knowledge: Knowledge, *, halo: int) -> Tensor:
    """A scene small enough for memory, whole: (C, H, W) DN."""
    stats = scene_statistics(scene, knowledge)
    return assemble(scene, fuse_windows(scene, net, knowledge, halo=halo, statistics=stats))


def assemble(scene: Windows, parts: Iterator[FusedPart]) -> Tensor:
    h, w = (side * scene.ratio for side in scene.shape)
    out = torch.empty(scene.bands, h, w)
    for part in parts:
        fine = part.core.scaled(scene.ratio)
        out[:, fine.top : fine.bottom, fine.left : fine.right] = part.fused
    return out


def window_batch(
    scene: Windows, part: Part, knowledge: Knowledge, stats: Statistics | None = None
) -> PanBatch:
    return PanBatch(
        ms=part.ms[None],
        pan=part.pan[None],
        ratio=scene.ratio,
        phase=scene.phase,
        mtf=knowledge.mtf[None],
        softness=knowledge.softness[None],
        statistics=stats,
    )
