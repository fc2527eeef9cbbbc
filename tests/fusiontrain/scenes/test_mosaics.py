"""Tiles of one image in memory: the pixels and place of the image that was cut."""

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine

from fusiontrain.errors import SceneError
from fusiontrain.scenes.described_file import DescribedFile
from fusiontrain.scenes.gdal_environment import gdal
from fusiontrain.scenes.open_raster import open_raster
from fusiontrain.scenes.products.mosaic import Tile, mosaic
from tests.support.geotiffs import GRID, write_geotiff

IMAGE = np.random.default_rng(0).integers(1, 4000, (3, 50, 70)).astype("uint16")
ROWS, COLUMNS = (0, 30, 50), (0, 40, 70)


def cut(folder, *, placed=True, move=0.0, leave_out=()):
    """2 x 2 tiles of IMAGE; the last one moved by a part of a pixel."""
    tiles = []
    for r in (0, 1):
        for c in (0, 1):
            part = IMAGE[:, ROWS[r] : ROWS[r + 1], COLUMNS[c] : COLUMNS[c + 1]]
            grid = GRID @ Affine.translation(COLUMNS[c] + move * r * c, ROWS[r])
            place = {"transform": grid} if placed else {"transform": Affine.identity(), "crs": None}
            path = write_geotiff(folder / f"x_R{r + 1}C{c + 1}.tif", part, nodata=0, **place)
            if (r, c) not in leave_out:
                tiles.append(Tile(source=path, row=r + 1, column=c + 1))
    return tiles


@pytest.mark.parametrize("placed", [True, False])
def test_the_image_that_was_cut(tmp_path, placed):
    """By geotransforms, or row by row."""
    source = mosaic("x", cut(tmp_path, placed=placed)[::-1])

    with gdal(), open_raster(DescribedFile(source=source)) as raster:
        assert np.array_equal(raster.files[0].read(), IMAGE)
        assert raster.placed == placed
        assert raster.nodata == 0
        if placed:
            assert raster.transform.almost_equals(GRID)
            assert raster.crs == rasterio.CRS.from_epsg(32633)
        read = {name.rpartition("/")[2] for name in raster.facts[0].files}
        assert {"x_R1C1.tif", "x_R2C2.tif"} < read


def test_one_tile_is_the_file(tmp_path):
    (tile, *_) = cut(tmp_path)

    assert mosaic("x", [tile]) == tile.source


def test_bands_in_two_sets_of_files(tmp_path):
    """As Pleiades Neo delivers six bands."""
    paths = [write_geotiff(tmp_path / f"{i}.tif", IMAGE + i) for i in (0, 1)]

    source = mosaic("x", [Tile(source=p, first_band=1 + 3 * i) for i, p in enumerate(paths)])

    with gdal(), open_raster(DescribedFile(source=source)) as raster:
        assert np.array_equal(raster.files[0].read(), np.concatenate([IMAGE, IMAGE + 1]))


def test_a_missing_tile_is_said(tmp_path):
    with pytest.raises(SceneError, match="x: its tiles cover 2900 of 3500 pixels"):
        mosaic("x", cut(tmp_path, leave_out=[(1, 1)]))


def test_tiles_between_pixels_are_refused(tmp_path):
    with pytest.raises(SceneError, match=r"x_R2C2.tif begins 40.30 columns, 30.00 rows"):
        mosaic("x", cut(tmp_path, move=0.3))


def test_tiles_of_other_kinds_are_refused(tmp_path):
    tiles = cut(tmp_path)
    write_geotiff(tiles[3].source, IMAGE[:, 30:, 40:].astype("float32"), nodata=0)

    with pytest.raises(SceneError, match="tiles of one image must share their dtype"):
        mosaic("x", tiles)
