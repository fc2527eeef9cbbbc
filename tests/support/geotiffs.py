"""GeoTIFFs and pairs of PAN and MS that tests write."""

import json

import numpy as np
import rasterio
from rasterio.transform import Affine

UTM = "EPSG:32633"
GRID = Affine(0.5, 0, 300_000, 0, -0.5, 4_800_000)  # of PAN, where a test names no other


def write_geotiff(
    path,
    image,
    transform=GRID,
    crs=UTM,
    *,
    dtype=None,
    mask=None,
    rpcs=None,
    colours=None,
    **profile,
):
    """`image` (C, H, W), rounded where `dtype` holds integers only; returns the path."""
    image = np.asarray(image)
    kind = np.dtype(dtype or image.dtype)
    image = (image.round() if kind.kind in "ui" else image).astype(kind)
    shape = dict(zip(("count", "height", "width"), image.shape, strict=True))
    options = {"driver": "GTiff", "dtype": kind.name, "transform": transform, "crs": crs, **shape}
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(path, "w", **(options | profile)) as file,
    ):
        if colours:
            file.colorinterp = colours
        if rpcs:
            file.rpcs = rpcs
        file.write(image)
        if mask is not None:
            file.write_mask(mask)
    return path


def write_pair(folder, pan, ms, *, name="", grid=GRID, facts=None, dtype="uint16", **profile):
    """pan.tif and ms.tif, or NAME_pan.tif and NAME_ms.tif, and NAME.json of `facts`.

    The MS has the PAN's corner and pixels larger by the ratio. Returns both paths as text.
    """
    prefix, ratio = f"{name}_" if name else "", pan.shape[-1] // ms.shape[-1]
    paths = []
    for kind, image, scale in (("pan", pan, 1), ("ms", ms, ratio)):
        path = folder / f"{prefix}{kind}.tif"
        write_geotiff(path, image, grid @ Affine.scale(scale), dtype=dtype, **profile)
        paths.append(str(path))
    if facts is not None:
        (folder / f"{name}.json").write_text(json.dumps(facts))
    return tuple(paths)
