"""A scene cut into windows, computed one after another or side by side, and put together again."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from torch import Tensor

from fusiontrain.fusion.sensor_model import SensorModel
from fusiontrain.imaging.full_precision import tf32
from fusiontrain.imaging.pan_batch import PanBatch, Statistics
from fusiontrain.imaging.shift_estimation import shift_image
from fusiontrain.imaging.tiling import Box, WindowExtent, grid_step, tile_scene
from fusiontrain.scenes.scene import Window, WindowedScene
from shards.signals import WaitedForPool

T = TypeVar("T")
CORE = 1024  # PAN pixels a side of what a window writes
MULTIPLE_OF = 4  # PAN pixels; windows start where every network's own grid starts
AHEAD = 1  # windows read before their turn


@dataclass(frozen=True, kw_only=True, slots=True)
class FusedWindow:
    """One window's result: fused (C, H, W) DN and where it is data."""

    core: Box  # MS pixels
    fused: Tensor
    valid: Tensor


def scene_tiles(
    scene: WindowedScene, *, halo: int, core: int = CORE, across: int = 1
) -> list[WindowExtent]:
    """Windows of `core` rows and `across` times as many columns, PAN pixels, and a halo around."""
    step = grid_step(scene.ratio, MULTIPLE_OF)
    side, margin = -(-core // scene.ratio), -(-halo // scene.ratio)
    return list(tile_scene(*scene.shape, side=side, halo=margin, step=step, across=across))


def read_ahead(
    scene: WindowedScene, tiles: Iterable[WindowExtent]
) -> Iterator[tuple[WindowExtent, Window]]:
    """Every tile and its pixels; a thread reads the next while the caller works on one."""
    with WaitedForPool(1, "reading") as reader:
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


@dataclass(frozen=True, slots=True)
class Workers:
    """Threads that compute windows. `turns`: shared by those that compute side by side."""

    count: int = 1
    turns: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(1), repr=False)

    @staticmethod
    def of(count: int) -> "Workers":
        return Workers(count, threading.Semaphore(count))


ALONE = Workers()


def each_window(
    scene: WindowedScene,
    tiles: Iterable[WindowExtent],
    work: Callable[[WindowExtent, Window], T],
    workers: Workers = ALONE,
) -> Iterator[T]:
    """`work` of every tile and its pixels, in the order of the tiles.

    One worker: it computes here. Several: each reads and computes windows of its own, without
    gradients, by one thread of torch; at most one window more than there are workers is under way
    or waits to be taken. The scene must be one that several threads may read.
    Raises: what reading or `work` raises, at its window's turn. Closing waits for the windows that
    are under way.
    """
    if workers.count > 1:
        yield from _side_by_side(scene, tiles, work, workers)
        return
    done: deque[T] = deque()  # no name holds a result beyond its turn
    for tile, window in read_ahead(scene, tiles):
        done.append(work(tile, window))
        del window
        yield done.pop()


def _side_by_side(
    scene: WindowedScene,
    tiles: Iterable[WindowExtent],
    work: Callable[[WindowExtent, Window], T],
    workers: Workers,
) -> Iterator[T]:
    stopped = threading.Event()

    @torch.inference_mode()
    def compute(tile: WindowExtent) -> T:
        with workers.turns:
            if stopped.is_set():
                raise RuntimeError("nobody waits for this window")
            return work(tile, scene.read(tile.padded))

    pending: deque[Future[T]] = deque()
    pool = WaitedForPool(workers.count, "fusing", torch.set_num_threads, (1,))
    # Here for all of them: each of them changes torch's switches, and puts back what it found.
    with torch_threads(1), tf32(allowed=False):
        try:
            for tile in tiles:
                pending.append(pool.submit(compute, tile))
                if len(pending) > workers.count:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            stopped.set()
            pool.shutdown(cancel_futures=True)


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """A block in which torch shares out an operation among `count` threads.

    Here and in each thread that begins in it. By one, sums do not depend on how many there are.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


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
