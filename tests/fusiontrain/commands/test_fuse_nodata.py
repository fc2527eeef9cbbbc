"""--nodata says what is missing in the inputs too; what looks like nodata and is not is said."""

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine

from fusiontrain import pansharpen
from fusiontrain.cli import main
from fusiontrain.errors import SceneError
from fusiontrain.evaluation.benchmark import scene_entries
from fusiontrain.scenes import missing_values
from tests.support.geotiffs import GRID, write_geotiff

HOW = ["--method", "gsa", "-of", "GTiff", "-q"]


@pytest.fixture
def images():
    """PAN and MS with a collar of 8 MS pixels; no data is 0."""
    rng = np.random.default_rng(8)
    fine = 300 + np.kron(rng.uniform(0, 900, (3, 40, 40)), np.ones((8, 8)))
    ms = fine.reshape(3, 80, 4, 80, 4).mean((2, 4)).round()
    pan = fine.mean(0, keepdims=True).round()
    for image, wide in ((ms, 8), (pan, 32)):
        image[:, :wide] = image[:, :, -wide:] = 0
    return pan, ms


def write(folder, images, name="", bands=None, **profile):
    pan, ms = images
    ms = ms if bands is None else ms[bands]
    grid = GRID @ Affine.scale(4)
    profile = {"dtype": "uint16"} | profile
    return (
        str(write_geotiff(folder / f"{name}pan.tif", pan, **profile)),
        str(write_geotiff(folder / f"{name}ms.tif", ms, grid, **profile)),
    )


def read(path):
    with rasterio.open(path) as file:
        return file.read(), file.nodata


@pytest.mark.parametrize("value", [0, 65535, 77])
def test_given_nodata_is_as_good_as_a_tag(tmp_path, images, value):
    images = [np.where(image == 0, value, image) for image in images]
    plain = write(tmp_path, images)
    tagged = write(tmp_path, images, "tag_", nodata=value)

    assert 0 == main(["fuse", *plain, str(tmp_path / "a.tif"), "--nodata", str(value), *HOW])
    assert 0 == main(["fuse", *tagged, str(tmp_path / "b.tif"), *HOW])

    (fused, nodata), (expected, _) = read(tmp_path / "a.tif"), read(tmp_path / "b.tif")
    np.testing.assert_array_equal(expected, fused)
    assert value == nodata
    collar = np.full((320, 320), False)
    collar[:32] = collar[:, -32:] = True
    np.testing.assert_array_equal(collar, (fused == value).all(0))
    np.testing.assert_array_equal(collar, (fused == value).any(0))
    np.testing.assert_array_equal(fused, pansharpen(*plain, method="gsa", nodata=value))
    pan, ms = (image.astype("uint16") for image in images)
    arrays = pansharpen(pan, ms, method="gsa", nodata=value)
    np.testing.assert_array_equal(collar, (arrays == value).all(0))


def test_single_band_files_too(tmp_path, images):
    _, ms = images
    whole = write(tmp_path, images)
    grid = GRID @ Affine.scale(4)
    singles = [
        str(write_geotiff(tmp_path / f"b{i}.tif", ms[i : i + 1], grid, dtype="uint16"))
        for i in range(3)
    ]
    for paths, out in ((whole, "a.tif"), ([whole[0], *singles], "b.tif")):
        assert 0 == main(["fuse", *paths, str(tmp_path / out), "--nodata", "0", *HOW])

    np.testing.assert_array_equal(read(tmp_path / "a.tif")[0], read(tmp_path / "b.tif")[0])


def test_benchmark_takes_it(tmp_path, images):
    write(tmp_path, images, "x_")

    (entry,) = scene_entries([tmp_path], None, [], None, 0)
    (plain,) = scene_entries([tmp_path], None, [], None)

    assert plain.load().valid is None
    assert not entry.load().valid[:32].any()


def test_nodata_none_makes_all_of_it_data(tmp_path, images):
    tagged = write(tmp_path, images, nodata=0)

    assert 0 == main(["fuse", *tagged, str(tmp_path / "o.tif"), "--nodata", "none", *HOW])

    fused, nodata = read(tmp_path / "o.tif")
    assert nodata is None
    with rasterio.open(tmp_path / "o.tif") as file:
        assert (file.dataset_mask() > 0).all()
    pan, ms = (image.astype("uint16") for image in images)
    np.testing.assert_array_equal(fused, pansharpen(pan, ms, method="gsa"))


@pytest.mark.parametrize("value", ["None", "-1"])
def test_words_and_numbers(tmp_path, images, value, capsys):
    code = main(
        ["fuse", *write(tmp_path, images), str(tmp_path / "o.tif"), "--nodata", value, *HOW]
    )

    assert code == (2 if value == "-1" else 0)
    if code:
        assert "--nodata" in capsys.readouterr().err


def test_other_words_are_refused(tmp_path, images, capsys):
    with pytest.raises(SystemExit):
        main(["fuse", *write(tmp_path, images), str(tmp_path / "o.tif"), "--nodata", "x"])
    assert "number, or none" in capsys.readouterr().err


def test_zeros_everywhere_are_said(tmp_path, images, capsys):
    """Untagged; not where 0 is nodata already, or was said to be data."""
    call = ["fuse", *write(tmp_path, images), str(tmp_path / "o.tif"), *HOW]

    assert 0 == main(call)
    error = capsys.readouterr().err
    assert "19 % of the scene is 0 in PAN and in every band" in error
    assert "--nodata 0" in error
    for value in ("0", "none"):
        assert 0 == main([*call, "--nodata", value])
        assert "of the scene" not in capsys.readouterr().err


@pytest.mark.parametrize("door", ["tag", "flag", "array", "masked array"])
def test_0_in_some_bands_is_a_reading(tmp_path, images, door, capsys):
    """Shade and water: only where all bands are 0 is a pixel missing."""
    pan, ms = images
    ms[0, 20:30, 20:30] = 0
    ms[1:, 20:30, 25:30] = 0
    out = tmp_path / "o.tif"
    if door.endswith("array"):
        images = [image.astype("uint16") for image in (pan, ms)]
        if door == "masked array":
            images = [np.ma.masked_equal(image, 0) for image in images]
        fused = np.ma.filled(pansharpen(*images, method="gsa", nodata=0))
    else:
        paths = write(tmp_path, (pan, ms), **({"nodata": 0} if door == "tag" else {}))
        flag = ["--nodata", "0"] if door == "flag" else []
        assert 0 == main(["fuse", *paths, str(out), *flag, *HOW])
        assert (
            "0.78 % of the MS's pixels have the nodata value 0 in some" in capsys.readouterr().err
        )
        fused = read(out)[0]

    missing = (fused == 0).all(0)
    assert missing[80:120, 100:120].all()
    assert not missing[80:120, 80:100].any()


def test_a_value_that_is_no_reading_hides_by_one_band(tmp_path, images, capsys):
    """-9999 in one band is not data in any method."""
    pan, ms = images
    ms[0, 20:30, 20:30] = -9999
    paths = write(tmp_path, (pan, ms), dtype="int16", nodata=-9999)

    assert 0 == main(["fuse", *paths, str(tmp_path / "o.tif"), *HOW])

    assert "-9999 in some bands only, and count as missing" in capsys.readouterr().err
    assert (read(tmp_path / "o.tif")[0][:, 80:120, 80:120] == -9999).all()


def test_masked_arrays_hide_what_is_no_0(images):
    pan, ms = (np.ma.array(image.astype("uint16")) for image in images)
    ms[0, 20:30, 20:30] = np.ma.masked

    fused = pansharpen(pan, ms, method="gsa", nodata=0)

    assert (fused.filled()[:, 80:120, 80:120] == 0).all()
    assert fused.mask[:, 80:120, 80:120].all()


def test_nodata_of_another_kind_is_refused(images):
    pan, ms = (image.astype("uint16") for image in images)
    with pytest.raises(SceneError, match="`nodata`"):
        pansharpen(pan, ms, method="gsa", nodata=-1)


@pytest.mark.parametrize("method", ["gsa", "brovey", "net"])
def test_a_band_without_data_is_named(tmp_path, images, capsys, method):
    """By its number in the file and its description; another choice of bands fuses."""
    ms = images[1].astype("float32")
    ms[1] = np.nan
    paths = write(tmp_path, (images[0].astype("float32"), ms), dtype="float32")
    with rasterio.open(paths[1], "r+") as file:
        file.set_band_description(2, "NIR")
    how = ["--method", method, "--sensor", "IKONOS", "--softness", "0.3", "-q"]

    assert 2 == main(["fuse", *paths, str(tmp_path / "o.tif"), *how, "-b", "3,2"])

    (line,) = capsys.readouterr().err.splitlines()
    assert f"{paths[1]} has no data in band 2 (NIR): choose others (--bands)" in line
    with pytest.raises(SceneError, match=r"MS has no data in band 2: .*`bands`"):
        pansharpen(images[0].astype("float32"), ms, method="gsa")
    with pytest.raises(SceneError, match=r"no data in band 2 \(NIR\)"):
        scene_entries([], *paths[:1], paths[1:], None)[0].load()


@pytest.mark.parametrize(
    ("share", "expected"), [(1.0, "100 %"), (0.996, "100 %"), (0.345, "34 %"), (0.0213, "2.1 %")]
)
def test_shares_are_percents(share, expected):
    assert expected == missing_values._percent(share)


FILL = float(np.finfo("float32").min)  # what much software fills float rasters with


@pytest.fixture
def filled(images):
    """The pair with a collar of FILL in the MS, uint16 in PAN; nothing declares it."""
    pan, ms = images
    return pan.astype("uint16"), np.where(ms == 0, FILL, ms).astype("float32")


def write_filled(folder, images, name=""):
    pan = write_geotiff(folder / f"{name}pan.tif", images[0])
    ms = write_geotiff(folder / f"{name}ms.tif", images[1], GRID @ Affine.scale(4))
    return str(pan), str(ms)


@pytest.mark.parametrize("method", ["gsa", "bt-h", "tv", "brovey", "glp-fs", "net"])
def test_an_undeclared_float_fill_is_one_line(tmp_path, filled, capsys, method):
    """It names the file, the value and the flag; nothing is written."""
    paths = write_filled(tmp_path, filled)

    assert 2 == main(["fuse", *paths, str(tmp_path / "o.tif"), "--method", method, "-q"])

    (line,) = capsys.readouterr().err.splitlines()
    assert "ms.tif has values of about -3.4e+38" in line
    assert f"--nodata {FILL!r}" in line
    assert {"pan.tif", "ms.tif"} == {path.name for path in tmp_path.iterdir()}


def test_what_that_line_says_to_give_is_taken(tmp_path, filled):
    """The collar is missing; the ground is that of a pair whose file declares the value."""
    paths = write_filled(tmp_path, filled)
    declared = write(tmp_path, filled, "d_", dtype="float32", nodata=FILL)

    for pair, out, more in ((paths, "o.tif", ["--nodata", repr(FILL)]), (declared, "d.tif", [])):
        assert 0 == main(["fuse", *pair, str(tmp_path / out), *HOW, *more])

    (fused, _), (expected, _) = read(tmp_path / "o.tif"), read(tmp_path / "d.tif")
    np.testing.assert_array_equal(expected[:, 32:, :-32], fused[:, 32:, :-32])
    assert (fused[:, :32] == FILL).all()


@pytest.mark.parametrize(("value", "refused"), [(9.96921e36, True), (1e20, True), (1e6, False)])
def test_values_are_huge_where_their_square_is_no_float32(images, value, refused):
    """netCDF's fill, 1e20 as models write it; a large reading is one. Of arrays too."""
    pan, ms = (np.float32(image) for image in images)
    ms[0, 40, 40] = value
    if not refused:
        assert np.isfinite(pansharpen(pan, ms, method="exp")).all()
        return

    with pytest.raises(SceneError, match=r"MS has values of about .*give `nodata="):
        pansharpen(pan, ms, method="exp")


def test_huge_values_that_a_mask_hides_are_no_matter(tmp_path, images):
    pan, ms = images
    hidden = np.where(ms == 0, FILL, ms).astype("float32")
    pan = write_geotiff(tmp_path / "pan.tif", pan, dtype="uint16")
    ms = write_geotiff(
        tmp_path / "ms.tif", hidden, GRID @ Affine.scale(4), mask=255 * (ms[0] > 0).astype("uint8")
    )

    assert 0 == main(["fuse", str(pan), str(ms), str(tmp_path / "o.tif"), *HOW])
