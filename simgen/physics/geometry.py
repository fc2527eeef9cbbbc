"""Where the scene lies in the photograph."""

import numpy as np


def mirror_extend(img_HWC: np.ndarray) -> np.ndarray:
    """Twice the size: the image and its mirror images, so that a small photograph fills a scene."""
    wide = np.concatenate([img_HWC, img_HWC[:, ::-1]], axis=1)
    return np.concatenate([wide, wide[::-1]], axis=0)


def place(
    img_HWC: np.ndarray, corner: tuple[int, int], size: int, flip: tuple[bool, bool]
) -> np.ndarray:
    """The (size, size) scene at `corner` (row, column) of the extended image, flipped as drawn."""
    row, column = corner
    scene = mirror_extend(img_HWC)[row : row + size, column : column + size]
    vertical, horizontal = flip
    return scene[:: -1 if vertical else 1, :: -1 if horizontal else 1]
