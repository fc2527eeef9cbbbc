"""Files of one band each share a grid up to a part of a pixel, whatever its units are."""

import numpy as np
import pytest
from rasterio.transform import Affine

from fusiontrain.errors import SceneError
from fusiontrain.scenes.open_raster import open_raster
from tests.support.geotiffs import UTM, write_geotiff

METRES = (Affine(30, 0, 300_000, 0, -30, 4_800_000), UTM)
DEGREES = (Affine(1e-5, 0, 20, 0, -1e-5, 14), "EPSG:4326")


def stack(tmp_path, place, moved):
    grid, crs = place
    paths = []
    for i, by in enumerate((0, moved, 0)):
        path = tmp_path / f"b{i}.tif"
        at = grid @ Affine.translation(by, by)
        paths.append(write_geotiff(path, np.full((1, 20, 20), i + 1), at, crs, dtype="uint8"))
    return open_raster(paths)


@pytest.mark.parametrize("place", [METRES, DEGREES])
@pytest.mark.parametrize("moved", [1e-11, 1e-9, 1e-4, 0.04])
def test_a_part_of_a_pixel_is_the_same_place(tmp_path, place, moved):
    with stack(tmp_path, place, moved) as raster:
        assert [1, 2, 3] == raster.sample()[0].amax((1, 2)).tolist()


@pytest.mark.parametrize("place", [METRES, DEGREES])
@pytest.mark.parametrize("moved", [0.1, 1, -7])
def test_more_is_another_place(tmp_path, place, moved):
    with pytest.raises(SceneError, match=r"share their transform; .*b1\.tif"):
        stack(tmp_path, place, moved).__enter__()
