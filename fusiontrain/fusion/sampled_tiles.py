"""Windows spread over a large scene: those that its statistics are taken from."""

from fusiontrain.fusion.window_loop import MULTIPLE_OF
from fusiontrain.imaging.tiling import WindowExtent, grid_step, window_at
from fusiontrain.scenes.scene import WindowedScene

SAMPLE = 2**24  # PAN pixels; scenes up to this size give their statistics from all of them
SAMPLE_SIDE, SAMPLE_COUNT = 512, 8  # larger ones from so many windows an axis, PAN pixels a side
STATISTICS_HALO = 12  # MS pixels: reach of blur and interpolation


def sampled_tiles(scene: WindowedScene) -> list[WindowExtent]:
    """Windows spread over a large scene; none for a scene of which every pixel is used."""
    (h, w), ratio = scene.shape, scene.ratio
    step = grid_step(ratio, MULTIPLE_OF)
    side = SAMPLE_SIDE // ratio // step * step
    if h * w * ratio**2 <= SAMPLE or min(h, w) < side:
        return []
    return [
        window_at(top, left, side, scene.shape, halo=STATISTICS_HALO, step=step)
        for top in _spaced(h, side, step)
        for left in _spaced(w, side, step)
    ]


def _spaced(size: int, side: int, step: int) -> list[int]:
    """Starts of up to SAMPLE_COUNT windows, from edge to edge."""
    last = (size - side) // step
    return sorted({round(i * last / (SAMPLE_COUNT - 1)) * step for i in range(SAMPLE_COUNT)})
