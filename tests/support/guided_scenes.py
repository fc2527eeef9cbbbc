"""Scenes with several sharp bands, made of one image of many bands, as arrays and as files."""

import numpy as np
import torch
from rasterio.transform import Affine

from fusiontrain.imaging.filters import degrade
from tests.support.geotiffs import write_geotiff

GRID = Affine(10, 0, 399_960, 0, -10, 5_400_000)
GUIDES = ("B02", "B03", "B04", "B08")


def sharp_bands(count, side, seed=0):
    """(count, side, side) DN: smooth bands that have edges and texture in common."""
    rng = np.random.default_rng(seed)
    common = [np.cumsum(np.cumsum(rng.normal(size=(side, side)), 0), 1) for _ in range(3)]
    common = [(image - image.mean()) / image.std() for image in common]
    common.append(np.kron(rng.normal(size=(side // 8, side // 8)), np.ones((8, 8))))
    mixes = rng.normal(size=(count, len(common)))
    bands = np.tensordot(mixes, np.stack(common), 1) + 0.1 * rng.normal(size=(count, side, side))
    return torch.from_numpy(1500 + 200 * bands).float().clamp(1, 9000).round()


def lowered(bands, ratio, gain=0.3):
    """(C, H, W) -> (C, h, w), rounded."""
    return degrade(bands[None], torch.full((1, len(bands)), gain), ratio)[0].round()


def write_bands(folder, names, image, size, grid=GRID, **profile):
    """One file a band, pixels of `size` guide pixels; their paths as text."""
    return [
        str(write_geotiff(folder / f"{name}.tif", band[None].numpy(), grid @ Affine.scale(size),
                          dtype="uint16", **profile))
        for name, band in zip(names, image, strict=True)
    ]  # fmt: skip
