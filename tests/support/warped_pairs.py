"""Pairs whose MS lies off the PAN by a shift that varies over the scene, of a textured ground."""

from collections.abc import Callable

import numpy as np
import torch
from scipy.ndimage import gaussian_filter, map_coordinates

from fusiontrain.scenes.scene import Scene

RATIO, SIDE = 4, 192  # MS pixels
MARGIN = 24  # PAN pixels around the scene
Field = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def textured_ground(seed: int = 0, side: int = SIDE) -> np.ndarray:
    """Roofs and fields with edges, and texture of all sizes, on the PAN's grid."""
    rng = np.random.default_rng(seed)
    size = side * RATIO + 2 * MARGIN
    image = np.full((size, size), 600.0)
    for _ in range(1600):
        y, x = rng.integers(0, size, 2)
        h, w = rng.integers(5, 45, 2)
        image[y : y + h, x : x + w] = rng.uniform(150, 1500)
    noise = rng.normal(size=(size, size))
    texture = sum(gaussian_filter(noise, sigma) * sigma for sigma in (1, 3, 8))
    return gaussian_filter(image + 120 * texture, 0.6)


def warped_pair(field: Field, *, seed: int = 0, noise: float = 4.0, side: int = SIDE) -> Scene:
    """`field`: MS rows and columns -> where that pixel lies on PAN beside its place, PAN pixels."""
    rng = np.random.default_rng(seed + 1)
    other = textured_ground(seed + 2, side)
    ground = textured_ground(seed, side)
    y, x = np.mgrid[:side, :side].astype(float)
    rows, columns = field(y, x)
    at = [
        axis * RATIO + (RATIO - 1) / 2 + part + MARGIN for axis, part in ((y, rows), (x, columns))
    ]
    bands = []
    for gain, share in ((0.6, 0.1), (1.0, 0.0), (1.2, 0.15), (0.9, 0.4)):
        mixed = gaussian_filter((1 - share) * ground + share * other, 2.0)
        bands.append(gain * map_coordinates(mixed, at, order=3))
    ms = np.stack(bands) + noise * rng.normal(size=(4, side, side))
    pan = ground[MARGIN:-MARGIN, MARGIN:-MARGIN]
    pan = pan + noise * rng.normal(size=pan.shape)
    return Scene(name="warped", ms=torch.tensor(ms).float(), pan=torch.tensor(pan[None]).float())
