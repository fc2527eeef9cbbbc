"""Pairs across 180 degrees, whichever way each file writes its longitudes."""

import numpy as np
import pytest
from rasterio.transform import Affine
from rasterio.warp import transform as move

from fusiontrain.imaging.tiling import Box
from fusiontrain.scenes.grid_alignment import open_pair
from tests.support.geotiffs import write_geotiff

UTM, DEGREES, OTHER_DATUM = "EPSG:32660", "EPSG:4326", "EPSG:4269"
METRE = 1 / 111_000  # degrees of latitude; of longitude at 52 degrees about 1.6 times that


def ground(longitude, latitude):
    """A smooth scene, by degrees east of 180 and north of 52."""
    east = (longitude - 180 + 180) % 360 - 180
    return 1000 + 300 * np.sin(east / (40 * METRE)) + 200 * np.cos((latitude - 52) / (30 * METRE))


def write(path, crs, side, pixel, bands, turn=0):
    """`side` pixels of `pixel` metres around 180 degrees; `turn`: added to longitudes."""
    half = side * pixel / 2
    if crs == UTM:
        (x,), (y,) = move(DEGREES, UTM, [180.0], [52.0])
        grid = Affine(pixel, 0, x - half, 0, -pixel, y + half)
    else:
        wide, high = pixel * METRE * 1.6, pixel * METRE
        grid = Affine(wide, 0, 180 - side / 2 * wide, 0, -high, 52 + side / 2 * high)
    rows, columns = np.mgrid[:side, :side] + 0.5
    x, y = grid @ (columns, rows)
    if crs == UTM:
        flat = move(UTM, DEGREES, x.ravel().tolist(), y.ravel().tolist())
        x, y = (np.array(v).reshape(side, side) for v in flat)
    image = np.stack([ground(x, y)] * bands)
    return write_geotiff(path, image, Affine.translation(turn, 0) @ grid, crs, dtype="float32")


PAIRS = [
    (UTM, 0, DEGREES, 0),
    (UTM, 0, DEGREES, -360),
    (DEGREES, 0, UTM, 0),
    (DEGREES, -360, UTM, 0),
    (DEGREES, 0, DEGREES, -360),
    (DEGREES, -360, DEGREES, 0),
    (DEGREES, -360, OTHER_DATUM, 0),
]


@pytest.mark.parametrize(("pan_crs", "pan_turn", "ms_crs", "ms_turn"), PAIRS)
def test_both_sides_are_fused(tmp_path, pan_crs, pan_turn, ms_crs, ms_turn):
    pan = write(tmp_path / "pan.tif", pan_crs, 192, 0.5, 1, pan_turn)
    ms = write(tmp_path / "ms.tif", ms_crs, 64, 2, 2, ms_turn)

    with open_pair(pan, ms) as pair:
        h, w = pair.shape
        part = pair.read(Box(top=0, left=0, bottom=h, right=w))
        r = pair.ratio

    assert min(h, w) >= 44
    assert float(part.valid.float().mean()) > 0.97
    low = part.pan[0].reshape(h, r, w, r).mean((1, 3))
    inner = part.valid.reshape(h, r, w, r).all(3).all(1)
    assert float((low - part.ms[0])[inner].abs().max()) < 12  # of an amplitude of 500
