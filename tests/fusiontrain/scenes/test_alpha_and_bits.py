"""A band flagged as alpha: mask or near infrared; and integers of fewer bits than their dtype."""

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp
from rasterio.transform import Affine
from scipy.ndimage import gaussian_filter

from fusiontrain import pansharpen
from fusiontrain.cli import main
from fusiontrain.imaging.tiling import Box
from fusiontrain.scenes.open_raster import open_raster
from tests.support.geotiffs import GRID, write_geotiff

COLOURS = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
TOP = {"uint8": 255, "uint16": 65535, "float32": 1.0}


def footprint(side, soft):
    """1 within a turned square, 0 outside; `soft`: pixels over which it falls."""
    y, x = np.mgrid[:side, :side] - side / 2
    inside = ((abs(x + y) < side / 2) & (abs(x - y) < side / 2)).astype(float)
    return gaussian_filter(inside, soft) if soft else inside


def write(path, last, dtype):
    rng = np.random.default_rng(0)
    image = rng.uniform(0.2, 0.9, (3, *last.shape)) * TOP[dtype]
    return write_geotiff(path, np.concatenate([image, last[None]]), dtype=dtype, colours=COLOURS)


@pytest.mark.parametrize("dtype", TOP)
@pytest.mark.parametrize("soft", [0, 1, 2])
def test_an_alpha_may_have_soft_edges(tmp_path, dtype, soft):
    alpha = footprint(96, soft) * TOP[dtype]
    if dtype.startswith("u"):
        alpha = alpha.round()

    with open_raster(write(tmp_path / "x.tif", alpha, dtype)) as raster:
        assert 3 == raster.count
        _, valid = raster.read_valid(Box(top=0, left=0, bottom=96, right=96))

    np.testing.assert_array_equal(alpha > 0, valid)


@pytest.mark.parametrize("dtype", TOP)
@pytest.mark.parametrize("kind", ["noise", "saturated", "collar", "dark"])
def test_near_infrared_is_a_band(tmp_path, dtype, kind):
    top = TOP[dtype]
    infrared = np.random.default_rng(1).uniform(0.1, 0.8, (96, 96)) * top
    if kind == "saturated":
        infrared[:20] = top
    if kind == "collar":
        infrared[:80] = 0
    if kind == "dark":
        infrared *= 0.02

    with open_raster(write(tmp_path / "x.tif", infrared, dtype)) as raster:
        assert 4 == raster.count


@pytest.mark.parametrize("bits", [11, 12])
def test_values_stay_within_the_bits(tmp_path, bits):
    """A scene at its full scale, of edges that overshoot."""
    top = 2**bits - 1
    rng = np.random.default_rng(2)
    ms = np.where(rng.uniform(size=(3, 24, 24)) > 0.5, top, 50)
    pan = np.kron(ms[:1], np.ones((4, 4)))
    grid = GRID @ Affine.scale(4)
    paths = {}
    for nbits in (None, bits):
        more = {} if nbits is None else {"nbits": nbits}
        paths[nbits] = (
            str(write_geotiff(tmp_path / f"p{nbits}.tif", pan, dtype="uint16", **more)),
            str(write_geotiff(tmp_path / f"m{nbits}.tif", ms, grid, dtype="uint16", **more)),
        )
    free = pansharpen(*paths[None], method="gsa")
    assert free.max() > top

    bounded = pansharpen(*paths[bits], method="gsa")
    np.testing.assert_array_equal(np.minimum(free, top), bounded)
    for number, (nbits, options) in enumerate(
        [
            (bits, []),
            (None, ["-co", f"NBITS={bits}"]),
            (None, ["-co", f"nbits={bits}", "-of", "GTiff"]),
        ]
    ):
        out = tmp_path / f"{number}.tif"
        assert 0 == main(["fuse", *paths[nbits], str(out), "--method", "gsa", "-q", *options])
        with rasterio.open(out) as file:
            np.testing.assert_array_equal(bounded, file.read())
            stored = file.tags(1, ns="IMAGE_STRUCTURE").get("NBITS")
            assert stored == (str(bits) if options else None)
