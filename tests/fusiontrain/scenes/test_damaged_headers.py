"""A header of any bytes is read, or refused in one line; nothing else is printed."""

import random

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp
from rasterio.transform import Affine

from fusiontrain.errors import SceneError
from fusiontrain.imaging.tiling import Box
from fusiontrain.scenes.file_facts import read_facts
from fusiontrain.scenes.grid_alignment import open_pair
from fusiontrain.scenes.open_raster import open_raster
from fusiontrain.scenes.raster_metadata import all_tags, read_metadata
from tests.support.geotiffs import write_geotiff, write_pair

ROUNDS = 12  # mutations of each part of a file


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A pair with all kinds of metadata; and its bytes."""
    folder = tmp_path_factory.mktemp("headers")
    rng = np.random.default_rng(0)
    images = rng.uniform(1, 900, (1, 64, 64)), rng.uniform(1, 900, (4, 16, 16))
    paths = write_pair(folder, *images, nodata=0)
    for path in paths:
        with rasterio.open(path, "r+") as file:
            file.update_tags(SATELLITE="WV02", NOTE="é")
            file.update_tags(ns="IMAGERY", SATELLITEID="WV02")
            file.update_tags(1, WAVELENGTH="480")
            file.scales, file.offsets = (0.5,) * file.count, (1.0,) * file.count
            file.descriptions = tuple("abcd"[: file.count])
            file.units = ("DN",) * file.count
            if file.count == 4:
                file.colorinterp = [ColorInterp.blue] * 3 + [ColorInterp.alpha]
    return paths


def everything(pan, ms):
    """All that fusing reads."""
    with open_pair(pan, ms) as pair:
        h, w = pair.shape
        pair.read(Box(top=0, left=0, bottom=min(h, 64), right=min(w, 64)))
        for file in (pair.pan_file, pair.ms_file):
            read_metadata(file), all_tags(file)


@pytest.mark.parametrize("seed", range(4 * ROUNDS))
@pytest.mark.parametrize("which", [0, 1])
def test_a_mutated_header_is_read_or_refused(tmp_path, pair, seed, which, capfd):
    rng = random.Random(seed)
    with open(pair[which], "rb") as file:  # noqa: PTH123
        data = bytearray(file.read())
    first = rng.choice((0, 0, len(data) - 1800))
    for _ in range(rng.randint(1, 8)):
        at = min(len(data) - 1, first + rng.randrange(1800))
        data[at] = rng.choice((0, 255, 240, rng.randrange(256), data[at] ^ 1 << rng.randrange(8)))
    path = tmp_path / "x.tif"
    path.write_bytes(data)
    paths = [path if i == which else pair[i] for i in (0, 1)]

    refused = ""
    try:
        everything(*paths)
    except SceneError as error:
        refused = str(error)
    assert len(refused.splitlines()) <= 1
    said = capfd.readouterr().err
    assert "Traceback" not in said
    assert "Error:" not in said


NAN = float("nan")
TRANSFORMS = [
    (NAN, 0, 0, 0, -1, 0), (1, 0, 0, 0, 0, 0), (0, 0, 5, 0, 0, 5), (1, 2, 0, 2, 4, 0),
    (float("inf"), 0, 0, 0, -1, 0), (1, 0, NAN, 0, -1, 0),
]  # fmt: skip


@pytest.mark.parametrize("numbers", TRANSFORMS)
def test_a_geotransform_without_a_size_is_refused(tmp_path, numbers):
    text = ", ".join(str(v) for v in Affine(*numbers).to_gdal())
    path = write_geotiff(tmp_path / "x.tif", np.ones((1, 8, 8)), None, None, dtype="uint8")
    (tmp_path / "x.tif.aux.xml").write_text(
        f"<PAMDataset><GeoTransform>{text}</GeoTransform></PAMDataset>"
    )

    with pytest.raises(SceneError, match="geotransform without a size"), open_raster(path):
        pass


PROPERTIES = [
    "colorinterp", "tags", "tag_namespaces", "mask_flag_enums", "nodata", "crs", "transform",
    "descriptions", "scales", "units", "rpcs", "gcps", "files", "block_shapes", "interleaving",
]  # fmt: skip
FAILURES = [
    ValueError("153 is not a valid ColorInterp"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    KeyError("a"),
    AttributeError("'NoneType' object has no attribute 'name'"),
    rasterio.errors.CRSError("two\nlines"),
    OverflowError("cannot convert float infinity to integer"),
]


@pytest.mark.parametrize("name", PROPERTIES)
@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
def test_any_property_that_cannot_be_read_is_one_line(pair, name, failure):
    with rasterio.open(pair[1]) as file:

        class Damaged:
            def __getattr__(self, key):
                if key == name:
                    raise failure
                return getattr(file, key)

        with pytest.raises(SceneError, match=r"cannot read x\.tif: its header is damaged") as error:
            read_facts("x.tif", Damaged())
    assert 1 == len(str(error.value).splitlines())


@pytest.mark.parametrize("name", ["a\0b.tif", "a\nb.tif", "\udcff.tif", "x" * 5000, "", "."])
def test_names_that_are_no_files_are_refused(name):
    with pytest.raises(SceneError, match="cannot read"), open_raster(name):
        pass


@pytest.mark.parametrize("place", ["b", "d"])
@pytest.mark.parametrize("number", [1e11, -1e15, 1e300])
def test_a_geotransform_that_gdal_cannot_invert_is_one_line(tmp_path, place, number):
    """Its determinant is not 0, but nothing beside its largest number; GDAL's limit is 1e-10."""
    grid = {"a": 2.0, "b": 0.0, "c": 300_000.0, "d": 0.0, "e": -2.0, "f": 4_800_000.0}
    grid[place] = number
    path = write_geotiff(
        tmp_path / "x.tif", np.ones((1, 16, 16)), Affine(*grid.values()), dtype="uint8"
    )

    with pytest.raises(SceneError, match="a geotransform without a size"), open_raster(path):
        pass
