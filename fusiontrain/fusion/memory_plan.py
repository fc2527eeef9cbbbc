"""How large the windows of a scene are, and the memory and time that fusing it takes."""

import heapq
import math
from dataclasses import dataclass, field
from typing import Protocol

from fusiontrain.errors import SceneError
from fusiontrain.fusion.window_loop import Workers, scene_tiles
from fusiontrain.imaging.tiling import WindowExtent
from fusiontrain.scenes.scene import WindowedScene

CORES = (4096, 3072, 2048, 1536, 1024, 768, 512, 256)  # PAN pixels a side
_SMALL_CORES = (128, 64)  # for scenes of many bands, which no other window holds
_FIXED_MEMORY = 0.45  # GiB: torch, GDAL and its cache
_FURTHER = 0.75  # of a window's memory, that a further worker takes: one waits to be written
_ABOUT = 1.03  # of the time: windows that are faster by less are not worth their memory
_MANY = 32  # windows a worker, of which the last one hardly counts


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What a method takes, measured by `python -m bench.speed.whole_scenes`."""

    bytes_per_pixel: int  # peak, a PAN pixel and band of a window
    speed: float  # Mpix a second, core and band
    passes: float = 1.0  # over the scene


class Plannable(Protocol):
    """What a plan must know of a fuser."""

    @property
    def cost(self) -> Cost: ...

    def halo(self, ratio: int) -> int:
        """PAN pixels that a window reads around its core."""

    def largest_core(self, ratio: int) -> int:
        """PAN pixels a side, beyond which larger windows gain nothing."""

    def workers(self, threads: int) -> int:
        """How many windows are computed side by side where `threads` are given."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """How a scene is cut into windows, and an estimate of what that takes."""

    core: int  # PAN pixels a side that a window writes; its rows, where `across` is not 1
    halo: int  # PAN pixels around them that it reads
    windows: int
    megapixels: float
    memory: float  # GiB
    seconds: float
    fixed: bool = False  # every method's windows are of `core`
    across: int = 1  # columns of a core over its rows
    workers: int = 1  # windows computed side by side
    shared: Workers | None = field(default=None, compare=False)  # of several runs side by side


def make_plan(
    scene: WindowedScene,
    fuser: Plannable,
    *,
    memory: float,
    core: int | None = None,
    threads: int = 1,
) -> Plan:
    """Windows of `core` PAN pixels a side; None: the largest that `memory` GiB hold.

    For several `threads`: windows by which all of them are done first, of which as many as are
    computed side by side fit. Raises: SceneError if `memory` is too little for the smallest window.
    """
    cost, halo = fuser.cost, fuser.halo(scene.ratio)
    bytes_per_pixel = cost.bytes_per_pixel * scene.bands
    workers, across = max(1, fuser.workers(threads)), 1
    if core is None:
        largest = fuser.largest_core(scene.ratio)
        core = _core_within(memory, bytes_per_pixel, halo, largest, scene)
        if workers > 1:
            core, across = _shared_out(core, workers, memory, bytes_per_pixel, halo, scene)
    h, w = (side * scene.ratio for side in scene.shape)
    needed = _window_pixels(scene, core, halo, across) * bytes_per_pixel
    tiles = scene_tiles(scene, halo=halo, core=core, across=across)
    workers = min(workers, len(tiles), _fitting(memory, needed))
    ms_pixels_read = sum(tile.padded.shape[0] * tile.padded.shape[1] for tile in tiles)
    work = ms_pixels_read * scene.ratio**2 * scene.bands * cost.passes / 1e6
    return Plan(
        core=core,
        across=across,
        halo=halo,
        windows=len(tiles),
        megapixels=h * w / 1e6,
        memory=_FIXED_MEMORY + (1 + (workers - 1) * _FURTHER) * needed / 2**30,
        seconds=work / cost.speed / (workers if fuser.workers(threads) > 1 else max(1, threads)),
        workers=workers,
    )


def _core_within(
    memory: float, bytes_per_pixel: int, halo: int, largest: int, scene: WindowedScene
) -> int:
    for core in (*(core for core in CORES if core <= largest), *_SMALL_CORES):
        if _window_pixels(scene, core, halo) * bytes_per_pixel <= memory * 2**30:
            return core
    least = _window_pixels(scene, _SMALL_CORES[-1], halo) * bytes_per_pixel / 2**30
    raise SceneError(
        f"`memory={memory:g}` GiB is too little for a window of {scene.bands} bands; expected at "
        f"least {_rounded_up(least)}"
    )


def _shared_out(
    alone: int, workers: int, memory: float, bytes_per_pixel: int, halo: int, scene: WindowedScene
) -> tuple[int, int]:
    """Core and columns of a core over its rows: the smallest windows that are about the fastest.

    `alone`: the core for one worker.
    """
    spans = {}
    for core in [core for core in CORES if core <= alone] or [alone]:
        for across in (1, 2):
            pixels = _window_pixels(scene, core, halo, across)
            fitting = _fitting(memory, pixels * bytes_per_pixel)
            if across * core <= alone or fitting >= workers:
                tiles = scene_tiles(scene, halo=halo // 2, core=core, across=across)
                spans[core, across] = _span(tiles, min(workers, fitting)), pixels
    enough = min(span for span, _ in spans.values()) * _ABOUT
    fast = {shape: pixels for shape, (span, pixels) in spans.items() if span <= enough}
    return min(fast, key=fast.__getitem__)


def _span(tiles: list[WindowExtent], workers: int) -> float:
    """MS pixels of the worker that is busy longest; each takes the next window when it is free.

    Half of a halo is computed, on average: layers read less and less of it.
    """
    areas = [tile.padded.shape[0] * tile.padded.shape[1] for tile in tiles]
    if len(areas) > _MANY * workers:
        return sum(areas) / workers
    busy = [0] * workers
    for area in areas:
        heapq.heapreplace(busy, busy[0] + area)
    return max(busy)


def _fitting(memory: float, needed: float) -> int:
    """Windows of so many bytes that `memory` GiB hold, at least one."""
    return 1 + max(0, int((memory * 2**30 / needed - 1) / _FURTHER))


def _window_pixels(scene: WindowedScene, core: int, halo: int, across: int = 1) -> int:
    """PAN pixels of the largest window: the scene itself, where it is smaller."""
    h, w = (side * scene.ratio for side in scene.shape)
    return min(h, core + 2 * halo) * min(w, across * core + 2 * halo)


def _rounded_up(value: float) -> str:
    """Two digits, of which so much memory is enough."""
    step = 10.0 ** (math.floor(math.log10(value)) - 1)
    return f"{math.ceil(value / step) * step:.2g}"
