"""PAN's ground control points go into the output, moved to where the overlap begins."""

import numpy as np
import pytest
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS

from fusiontrain import pansharpen
from fusiontrain.errors import SceneError
from tests.support.geotiffs import write_geotiff


@pytest.mark.parametrize("kind", ["COG", "GTiff"])
@pytest.mark.parametrize("system", ["EPSG:32631", None])
def test_gcps_are_kept(tmp_path, kind, system):
    """Also those of no known CRS."""
    rng = np.random.default_rng(3)
    corners = [(0, 0, 500_000, 5_000_000), (0, 64, 500_032, 5_000_000), (64, 0, 500_000, 4_999_968)]
    points = [GroundControlPoint(*corner) for corner in corners]
    for name, image in (
        ("pan", rng.uniform(1, 900, (1, 64, 64))),
        ("ms", rng.uniform(1, 900, (2, 16, 16))),
    ):
        path = write_geotiff(tmp_path / f"{name}.tif", image, None, None, dtype="uint16")
        with rasterio.open(path, "r+") as file:
            file.gcps = points, CRS() if system is None else system
    paths = tmp_path / "pan.tif", tmp_path / "ms.tif", tmp_path / "o.tif"

    with pytest.raises(SceneError, match="only GCPs"):
        pansharpen(*paths)
    pansharpen(*paths, method="exp", assume_aligned=True, format=kind)

    with rasterio.open(paths[2]) as file:
        kept, crs = file.gcps
    assert system == (crs.to_string() if crs else None)
    assert corners == [(p.row, p.col, p.x, p.y) for p in kept]
