"""How large the windows of a scene are, and the memory and time that fusing it takes."""

import math
from dataclasses import dataclass
from typing import Protocol

from fusiontrain.errors import SceneError
from fusiontrain.fusion.window_loop import scene_tiles
from fusiontrain.scenes.scene import WindowedScene

CORES = (4096, 3072, 2048, 1536, 1024, 768, 512, 256)  # PAN pixels a side
_SMALL_CORES = (128, 64)  # for scenes of many bands, which no other window holds
_FIXED_MEMORY = 0.45  # GiB: torch, GDAL and its cache


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """How a scene is cut into windows, and an estimate of what that takes."""

    core: int  # PAN pixels a side that a window writes
    halo: int  # PAN pixels around them that it reads
    windows: int
    megapixels: float
    memory: float  # GiB
    seconds: float
    fixed: bool = False  # every method's windows are of `core`


def make_plan(
    scene: WindowedScene,
    fuser: Plannable,
    *,
    memory: float,
    core: int | None = None,
    threads: int = 1,
) -> Plan:
    """Windows of `core` PAN pixels a side; None: the largest that `memory` GiB hold.

    Raises: SceneError if `memory` is too little for the smallest window.
    """
    cost, halo = fuser.cost, fuser.halo(scene.ratio)
    bytes_per_pixel = cost.bytes_per_pixel * scene.bands
    if core is None:
        largest = fuser.largest_core(scene.ratio)
        core = _core_within(memory, bytes_per_pixel, halo, largest, scene)
    h, w = (side * scene.ratio for side in scene.shape)
    largest_window = _window_pixels(scene, core, halo)
    ms_pixels_read = sum(
        tile.padded.shape[0] * tile.padded.shape[1]
        for tile in scene_tiles(scene, halo=halo, core=core)
    )
    work = ms_pixels_read * scene.ratio**2 * scene.bands * cost.passes / 1e6
    return Plan(
        core=core,
        halo=halo,
        windows=len(scene_tiles(scene, halo=0, core=core)),
        megapixels=h * w / 1e6,
        memory=_FIXED_MEMORY + largest_window * bytes_per_pixel / 2**30,
        seconds=work / cost.speed / max(1, threads),
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


def _window_pixels(scene: WindowedScene, core: int, halo: int) -> int:
    """PAN pixels of the largest window: the scene itself, where it is smaller."""
    h, w = (side * scene.ratio for side in scene.shape)
    return min(h, core + 2 * halo) * min(w, core + 2 * halo)


def _rounded_up(value: float) -> str:
    """Two digits, of which so much memory is enough."""
    step = 10.0 ** (math.floor(math.log10(value)) - 1)
    return f"{math.ceil(value / step) * step:.2g}"
