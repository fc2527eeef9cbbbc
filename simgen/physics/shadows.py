"""Cast shadows: parts of the ground that lose one share of the light in every band.

Under a shadow colours keep their hue, while detail of PAN is as deep as that of no material. The
light that the air scatters into the sensor (band offset, haze) stays.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True, slots=True)
class Shadow:
    """A rectangle or an ellipse on the ground, rotated. Pixels of the crop on the scene grid."""

    centre: tuple[int, int]  # row, column
    half: tuple[float, float]  # half axes
    angle: float  # radians
    ellipse: bool
    light: float  # share that is left

    def within(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """(H, 1), (1, W) -> (H, W) float32: 1 inside, 0 outside, with a border of one pixel."""
        down, along = rows - self.centre[0], columns - self.centre[1]
        cosine, sine = np.cos(self.angle), np.sin(self.angle)
        first = np.abs(cosine * down + sine * along) / self.half[0]
        second = np.abs(cosine * along - sine * down) / self.half[1]
        radius = np.hypot(first, second) if self.ellipse else np.maximum(first, second)
        return np.clip((1 - radius) * min(self.half) + 0.5, 0, 1).astype(np.float32)


def shade(shadows: tuple[Shadow, ...], shape: tuple[int, int]) -> np.ndarray:
    """The share of light at each pixel, (H, W) float32: the darkest of the shadows that lie there.

    Each is drawn in a box of its own.
    """
    left = np.ones(shape, np.float32)
    for shadow in shadows:
        reach = int(np.ceil(np.hypot(*shadow.half))) + 1
        rows, columns = (
            slice(max(0, centre - reach), min(side, centre + reach + 1))
            for centre, side in zip(shadow.centre, shape, strict=True)
        )
        grid = np.ogrid[rows, columns]
        share = 1 - shadow.within(*grid) * np.float32(1 - shadow.light)
        np.minimum(left[rows, columns], share, out=left[rows, columns])
    return left
