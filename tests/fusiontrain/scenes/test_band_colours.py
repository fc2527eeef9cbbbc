"""Which band is red, green, blue: by names, numbers, flags, wavelengths, sensors, or a guess."""

import struct

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp

from fusiontrain.cli import main
from fusiontrain.scenes.band_colours import band_colours, color_interpretation, rgb_bands
from fusiontrain.scenes.open_raster import open_raster
from shards.sensors import GENERIC, SENSORS
from tests.support.geotiffs import write_geotiff, write_pair


def colours_of(paths, sensor=GENERIC, bands=None):
    with open_raster(paths) as raster:
        return band_colours(raster.pick(bands) if bands else raster, sensor)


def write(path, count=1, *, names=(), tags=(), colours=None):
    write_geotiff(path, np.ones((count, 16, 16)), dtype="uint16", colours=colours)
    with rasterio.open(path, "r+") as file:
        if names:
            file.descriptions = names
        for band, values in enumerate(tags, 1):
            file.update_tags(band, **values)
    return path


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("Red", "Green", "Blue", "NIR"), ("red", "green", "blue", "nir")),
        (("Band 1 - Coastal Blue", "blue", "green", "Red Edge", "red", "NIR2"),
         ("coastal", "blue", "green", "rededge", "red", "nir2")),
        (("red_sea", "red_sea", "red_sea"), (None, None, None)),
    ],
)  # fmt: skip
def test_names_of_bands(tmp_path, names, expected):
    assert expected == colours_of(write(tmp_path / "ms.tif", len(names), names=names))


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["po_7_blu_0", "po_7_grn_0", "po_7_red_0", "po_7_nir_0"],
         ("blue", "green", "red", "nir")),
        (["LC08_L1TP_042034_B4", "LC08_L1TP_042034_B3", "LC08_L1TP_042034_B2"],
         ("red", "green", "blue")),
        (["LE07_L1TP_042034_B1", "LE07_L1TP_042034_B2", "LE07_L1TP_042034_B3"],
         ("blue", "green", "red")),
        (["QB02_B1", "QB02_B2", "QB02_B3", "QB02_B4"], (None,) * 4),
    ],
)  # fmt: skip
def test_files_of_one_band_each(tmp_path, files, expected):
    """Landsat 8 numbers its bands from coastal, Landsat 7 from blue, as USGS lists them."""
    paths = [write(tmp_path / f"{name}.tif") for name in files]

    assert expected == colours_of(paths)


def test_flags_of_the_file_come_before_the_sensors_row(tmp_path):
    """Pleiades products come as red, green, blue, infrared; the row has them from blue on."""
    flags = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.undefined]
    path = write(tmp_path / "ms.tif", 4, colours=flags)

    assert ("red", "green", "blue", None) == colours_of(path, SENSORS["Pleiades"])


@pytest.mark.parametrize(
    "tags",
    [
        [{"wavelength": "0.66"}, {"wavelength": "0.56"}, {"wavelength": "0.485"}],
        [{"wavelength": "660"}, {"wavelength": "560"}, {"wavelength": "485"}],
    ],
)
def test_wavelengths(tmp_path, tags):
    """Micrometres and nanometres; centres of Landsat's and IKONOS's red, green and blue."""
    assert ("red", "green", "blue") == colours_of(write(tmp_path / "ms.tif", 3, tags=tags))


def test_the_sensors_row_and_picked_bands(tmp_path):
    path = write(tmp_path / "ms.tif", 4)

    assert ("nir", "blue") == colours_of(path, SENSORS["IKONOS"], [4, 1])
    assert (None,) * 4 == colours_of(path, SENSORS["WorldView-3"])


def test_bands_to_show():
    """A guess is said to be one."""
    assert ((3, 2, 1), False) == rgb_bands(("blue", "green", "red", "nir"))
    assert ((3, 2, 1), True) == rgb_bands((None,) * 4)
    assert ((5, 3, 2), True) == rgb_bands((None,) * 8)  # of WorldView-2 and -3
    assert ((1,), False) == rgb_bands((None, None))


def test_own_interpretation_stays_where_nothing_is_known():
    own = [ColorInterp.gray, ColorInterp.undefined]

    assert own == color_interpretation((None, None), own)
    assert [ColorInterp.red, ColorInterp.undefined] == color_interpretation(("red", None), own)


def entries(path):
    """Tag -> (count, value or offset) of the first image of a little-endian TIFF."""
    data = path.read_bytes()
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    found = (struct.unpack_from("<HHIHxx", data, start + 2 + 12 * i) for i in range(count))
    return {tag: (items, value) for tag, _, items, value in found}


@pytest.mark.parametrize("form", ["GTiff", "COG"])
@pytest.mark.parametrize("names", ["red green blue nir", "red green blue", "blue green red nir"])
def test_samples_of_the_output_add_up(tmp_path, names, form):
    """TIFF 6.0, ExtraSamples: those, and three for RGB or one for gray, are SamplesPerPixel."""
    rng = np.random.default_rng(0)
    count = len(names.split())
    paths = write_pair(tmp_path, *(rng.uniform(1, 900, s) for s in ((1, 64, 64), (count, 16, 16))))
    with rasterio.open(paths[1], "r+") as file:
        file.descriptions = names.split()

    assert 0 == main(["fuse", *paths, str(tmp_path / "o.tif"), "--method", "exp", "-of", form])

    tags = entries(tmp_path / "o.tif")
    rgb = names.startswith("red green blue")
    assert (1, 2 if rgb else 1) == tags[262]
    assert (1, count) == tags[277]
    assert count - (3 if rgb else 1) == tags.get(338, (0, 0))[0]
    with rasterio.open(tmp_path / "o.tif") as file:
        assert names.split() == [colour.name for colour in file.colorinterp]
