"""Files of plain ramps, and a viewer that serves them."""

import threading
from contextlib import contextmanager

import numpy as np
import rasterio
from rasterio.transform import Affine

from fusiontrain.viewer.layers import open_layers
from fusiontrain.viewer.server import Server
from tests.support.geotiffs import UTM, write_geotiff

GRID = Affine(0.5, 0, 400_000, 0, -0.5, 4_800_000)
H, W = 768, 1024  # PAN; MS pixels hold their own column and row
RED = np.tile(np.arange(256, dtype=np.uint8), (192, 1))
GREEN = np.tile(np.linspace(0, 255, 192).round().astype(np.uint8)[:, None], (1, 256))
MS = np.stack([255 - GREEN, GREEN, RED, 255 - RED])  # blue, green, red, nir
PAN = np.tile(np.arange(H)[:, None] % 256, (1, W)).astype(np.uint8)[None]
FUSED = 255 - MS.repeat(4, 1).repeat(4, 2)


def write(path, data, transform=GRID, crs=UTM, **profile):
    profile = {"photometric": "minisblack"} | profile  # else the fourth of four bytes is an alpha
    write_geotiff(path, data, transform, crs, **profile)
    if len(data) == 4:
        with rasterio.open(path, "r+") as file:
            file.descriptions = ("blue", "green", "red", "nir")
    return str(path)


def scene(folder, crs=UTM, grid=GRID):
    return [
        write(folder / "pan.tif", PAN, grid, crs),
        write(folder / "ms.tif", MS, grid @ Affine.scale(4), crs),
        write(folder / "fused.tif", FUSED, grid, crs, tiled=True, compress="deflate"),
    ]


@contextmanager
def serving(paths):
    with open_layers(paths[0], paths[1:]) as opened, Server(*opened) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()
