"""Scenes for benches: ground at all scales, made from fixed random numbers, on one grid."""

from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import Affine

GRID = Affine(0.5, 0, 300_000, 0, -0.5, 4_800_000)
BLOCK = 512


def made_scene(
    height: int, width: int, bands: int, ratio: int = 4
) -> tuple[np.ndarray, np.ndarray]:
    """PAN (1, H, W) and MS (C, h, w), uint16 of 11 bits: ground at all scales."""
    rng = np.random.default_rng(0)
    pan = np.zeros((height, width), np.float32)
    for cell in (256, 64, 16, 4, 1):
        rough = rng.uniform(0, 1, (-(-height // cell), -(-width // cell))).astype(np.float32)
        pan += rough.repeat(cell, 0).repeat(cell, 1)[:height, :width] * (60 * cell**0.4)
    low = pan.reshape(height // ratio, ratio, width // ratio, ratio).mean((1, 3))
    gains = np.linspace(0.5, 1.2, bands, dtype=np.float32)[:, None, None]
    ms = low * gains + rng.uniform(0, 20, (bands, *low.shape)).astype(np.float32)
    return pan[None].clip(0, 2047).astype("u2"), ms.clip(0, 2047).astype("u2")


def write_geotiff(path: Path, image: object, grid: Affine) -> None:
    count, height, width = image.shape
    profile = {"driver": "GTiff", "count": count, "height": height, "width": width}
    profile |= {"dtype": image.dtype, "crs": "EPSG:32633", "transform": grid, "tiled": True}
    profile |= {"blockxsize": BLOCK, "blockysize": BLOCK, "photometric": "minisblack"}
    with rasterio.open(path, "w", **profile) as file:
        file.write(image)
