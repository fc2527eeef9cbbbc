"""How large the windows of a scene are, and the memory and time that fusing it takes."""

from dataclasses import dataclass
from typing import Protocol

from fusiontrain.errors import SceneError
from fusiontrain.fusion.window_loop import scene_tiles
from fusiontrain.scenes.scene import WindowedScene

CORES = (4096, 3072, 2048, 1536, 1024, 768, 512, 256)  # PAN pixels a side
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
        core = _core_within(memory, bytes_per_pixel, halo, largest, scene.bands)
    h, w = (side * scene.ratio for side in scene.shape)
    largest_window = min(h, core + 2 * halo) * min(w, core + 2 * halo)
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


def _core_within(memory: float, bytes_per_pixel: int, halo: int, largest: int, bands: int) -> int:
    pixels = memory * 2**30 / bytes_per_pixel
    for core in CORES:
        if core <= largest and (core + 2 * halo) ** 2 <= pixels:
            return core
    least = (CORES[-1] + 2 * halo) ** 2 * bytes_per_pixel / 2**30
    raise SceneError(
        f"`memory={memory:g}` GiB is too little for a window of {bands} bands; expected at least "
        f"{least:.2g}"
    )
