"""`fuse X.SAFE OUT.tif`: twelve bands at 10 m, described; also of a zip and of a STAC item."""

import json
import shutil
import threading
import time
from collections import Counter

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from rasterio.enums import ColorInterp
from rasterio.transform import Affine

from fusiontrain.cli import main
from fusiontrain.rio_plugin import fuse as rio_fuse
from fusiontrain.scenes.raster import Raster
from tests.support import products
from tests.support.file_server import served

COMMON = ("--method", "gsa", "--register", "off")
TWELVE = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12")
CI = ColorInterp
# Of GDAL 3.10: names of the parts of the spectrum.
COLOURS = (CI.coastal, CI.blue, CI.green, CI.red, CI.rededge, CI.rededge)
COLOURS += (CI.nir, CI.nir, CI.nir, CI.nir, CI.swir, CI.swir)


def fuse(*names):
    return main(["fuse", *map(str, names), *COMMON])


@pytest.fixture(scope="module")
def safe(tmp_path_factory):
    return products.write_safe(tmp_path_factory.mktemp("safe"))


@pytest.fixture(scope="module")
def fused(safe, tmp_path_factory):
    path = tmp_path_factory.mktemp("fused") / "out.tif"
    assert fuse(safe, path) == 0
    return path


@pytest.mark.parametrize(
    ("level", "baseline", "offset"),
    [("2A", "05.09", -0.1), ("2A", "02.14", 0.0), ("1C", "05.09", -0.1), ("1C", "02.14", 0.0)],
)
def test_every_field_of_the_output(tmp_path, level, baseline, offset):
    """As `rio info` shows them."""
    root = products.write_safe(tmp_path, level=level, baseline=baseline)
    out = tmp_path / "out.tif"

    assert fuse(root, out) == 0

    with rasterio.open(out) as file:
        assert (file.count, file.shape, set(file.dtypes)) == (12, (120, 120), {"uint16"})
        assert file.crs.to_epsg() == 32633
        assert file.transform.almost_equals(Affine(10, 0, 399_960, 0, -10, 4_200_000))
        assert file.nodata == 0
        assert file.descriptions == TWELVE
        assert file.colorinterp == COLOURS
        assert (set(file.scales), set(file.offsets)) == ({1e-4}, {offset})
        assert set(file.units) == {"reflectance"}
        found = [float(file.tags(i)["CENTRAL_WAVELENGTH_UM"]) for i in file.indexes]
        expected = [products.S2_NANOMETRES[band] / 1000 for band in TWELVE]
        assert found == pytest.approx(expected, abs=1e-6)
        tags = file.tags()
        assert tags["SPACECRAFT_NAME"] == "Sentinel-2A"
        assert (tags["PRODUCT_URI"], tags["PROCESSING_BASELINE"]) == (root.name, baseline)


def test_each_band_has_its_published_mtf(safe, tmp_path, capsys):
    """The short-wave infrared is softer than the red edge (SENSORS); no sensor is unknown."""
    report, out = tmp_path / "report.json", tmp_path / "out.tif"

    assert fuse(safe, out, "--json", report) == 0

    said = "".join(capsys.readouterr())
    assert "Sensor Sentinel-2 (tag SPACECRAFT_NAME): the published MTF of each band" in said
    assert "Used for these bands: MTF of the MS" in said
    model = json.loads(report.read_text())["sensor_model"]
    coarse = [band for band in TWELVE if band not in ("B02", "B03", "B04", "B08")]
    mtf = dict(zip(coarse, model["mtf"], strict=True))
    assert model["sensor"] == "Sentinel-2"
    assert mtf["B11"] < mtf["B12"] < mtf["B8A"] < mtf["B06"] == mtf["B07"] < mtf["B05"]


def test_sharp_bands_are_written_as_they_are(safe, fused):
    """Every DN of the 10 m images, and none of the copies at 20 and 60 m."""
    pixels = products.pixels(fused)

    for band in ("B02", "B03", "B04", "B08"):
        (path,) = safe.rglob(f"*_{band}_10m.jp2")
        assert np.array_equal(pixels[TWELVE.index(band)], products.pixels(path)[0])


def test_the_pixels_of_the_files_by_hand(safe, fused, tmp_path):
    """--guide with each image at its own resolution."""
    at = {"10m": ("B02", "B03", "B04", "B08"), "60m": ("B01", "B09")}
    at["20m"] = ("B05", "B06", "B07", "B8A", "B11", "B12")
    files = {
        band: next(safe.rglob(f"*_{band}_{m}.jp2")) for m, group in at.items() for band in group
    }
    coarse = [band for band in TWELVE if band not in at["10m"]]
    guides = [str(files[band]) for band in at["10m"]]
    out = tmp_path / "out.tif"

    assert fuse("--guide", *guides, "--", *(files[band] for band in coarse), out) == 0

    by_hand = [TWELVE.index(band) for band in coarse]
    assert np.array_equal(products.pixels(fused)[by_hand], products.pixels(out))


def test_the_same_pixels_of_a_zip_by_rio_and_by_python(safe, fused, tmp_path):
    """Nothing is unpacked beside it."""
    from fusiontrain import pansharpen

    copy = tmp_path / safe.name
    shutil.copytree(safe, copy)
    archive = products.zipped(copy)
    shutil.rmtree(copy)
    expected, out = products.pixels(fused), tmp_path / "zip.tif"

    assert fuse(archive, out) == 0
    done = CliRunner().invoke(rio_fuse, [str(safe), str(tmp_path / "rio.tif"), *COMMON])
    array = pansharpen(safe, method="gsa", register=False)

    assert done.exit_code == 0
    assert np.array_equal(products.pixels(out), expected)
    assert np.array_equal(products.pixels(tmp_path / "rio.tif"), expected)
    assert np.array_equal(array, expected)
    assert {p.name for p in tmp_path.iterdir()} == {archive.name, "zip.tif", "rio.tif"}


def test_a_stac_item_of_the_same_images(fused, tmp_path):
    item = products.write_stac(tmp_path / "item")
    out = tmp_path / "out.tif"

    assert fuse(item, out) == 0

    assert np.array_equal(products.pixels(out), products.pixels(fused))
    with rasterio.open(out) as file:
        assert (file.descriptions, file.nodata) == (TWELVE, 0)
        assert (set(file.scales), set(file.offsets)) == ({1e-4}, {-0.1})


def test_a_stac_item_and_its_images_on_a_server(fused, tmp_path):
    """All of it by http, from where the item lies."""
    products.write_stac(tmp_path / "item")
    out = tmp_path / "out.tif"

    with served(tmp_path / "item") as url:
        assert fuse(f"{url}/item.json", out) == 0

    assert np.array_equal(products.pixels(out), products.pixels(fused))


def test_saturated_and_empty_pixels_are_missing(tmp_path):
    """65535 in one band hides a pixel; 0 in all bands of a grid."""
    item = products.write_stac(tmp_path / "item")
    for name, value, window in (
        ("B11.tif", 65535, (10, 12)),
        *((f"{band}.tif", 0, (100, 110)) for band in ("B02", "B03", "B04", "B08")),
    ):
        with rasterio.open(tmp_path / "item" / name, "r+") as file:
            data = file.read()
            data[:, slice(*window), slice(*window)] = value
            file.write(data)
    out = tmp_path / "out.tif"

    assert fuse(item, out) == 0

    missing = (products.pixels(out) == 0).all(0)
    assert missing[20:24, 20:24].all()
    assert missing[100:110, 100:110].all()
    assert not missing[30:90, 30:90].any()


# Of MSK_QUALIT 3: lost, 4: degraded, 5: defective, 6: no data, 8: saturated, in the band's rows.
LOST = {"B05": {3: (10, 12), 5: (40, 42)}, "B03": {4: (60, 63), 8: (90, 91)}, "B09": {6: (15, 16)}}


@pytest.mark.parametrize("baseline", ["05.09", "02.14"])
def test_lost_and_degraded_pixels_are_missing(tmp_path, capsys, baseline):
    """By images or by polygons, in every band; defective ones, which are interpolated, stay."""
    lost = LOST if baseline > "04" else {**LOST, "B03": {4: (60, 63)}}
    root = products.write_safe(tmp_path / "in", baseline=baseline, lost=lost)
    archive = products.zipped(root)

    for place, out in ((root, tmp_path / "out.tif"), (archive, tmp_path / "zip.tif")):
        assert fuse(place, out) == 0
        said = "".join(capsys.readouterr())
        assert "QI_DATA names lost or degraded" in said
        assert "as lost or degraded: 360 of B03, 120 of B05, 20 of B09; they are missing" in said
        missing = products.pixels(out) == 0
        rows = [*range(20, 24), *range(60, 63), *range(90, 96)]
        assert np.flatnonzero(missing.all((0, 2))).tolist() == rows
        assert not np.delete(missing, rows, 1).any()


def test_a_mask_of_another_size_is_one_line(tmp_path, capsys):
    root = products.write_safe(tmp_path, lost={"B05": {3: (1, 2)}, "B03": {3: (1, 2)}})
    (folder,) = root.rglob("QI_DATA")
    (folder / "MSK_QUALIT_B03.jp2").replace(folder / "MSK_QUALIT_B05.jp2")

    assert fuse(root, tmp_path / "out.tif") == 2

    assert "MSK_QUALIT_B05.jp2 is 120x120 with 8 layers; expected 60x60" in capsys.readouterr().err
    assert not (tmp_path / "out.tif").exists()


@pytest.mark.parametrize("band", ["B05_20m", "B02_10m"])
def test_an_image_that_is_cut_short_is_one_line(safe, tmp_path, capsys, band):
    root = tmp_path / safe.name
    shutil.copytree(safe, root)
    (path,) = root.rglob(f"*_{band}.jp2")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    assert fuse(root, tmp_path / "out.tif") == 2

    error = capsys.readouterr().err.strip()
    assert band in error
    assert len([line for line in error.splitlines() if line.startswith("fusiontrain")]) == 1
    assert not (tmp_path / "out.tif").exists()


def test_an_image_of_another_size_is_one_line(tmp_path, capsys):
    item = products.write_stac(tmp_path / "item")
    facts = json.loads(item.read_text())
    facts["assets"]["B03"]["href"] = "./B05.tif"
    item.write_text(json.dumps(facts))

    assert fuse(item, tmp_path / "out.tif") == 2

    assert "files to be stacked must share their size" in capsys.readouterr().err


def test_an_image_is_read_by_one_thread_at_a_time(tmp_path, monkeypatch):
    """Groups of 20 and of 60 m are fused side by side and share the sharp images' files."""
    inside, together, lock, read = Counter(), [], threading.Lock(), Raster.read

    def watched(raster, box):
        with lock:
            inside.update(map(id, raster.files))
            together.extend(n for file in raster.files if (n := inside[id(file)]) > 1)
        try:
            time.sleep(0.005)  # for another thread to come in
            return read(raster, box)
        finally:
            with lock:
                inside.subtract(map(id, raster.files))

    monkeypatch.setattr(Raster, "read", watched)

    item = products.write_stac(tmp_path / "item", size=240)
    assert main(["fuse", str(item), str(tmp_path / "o.tif"), *COMMON, "--window", "120"]) == 0

    assert inside
    assert together == []
