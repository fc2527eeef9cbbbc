"""8 bits, pictures and quicklooks of `fuse`: never white, never a TIFF in a .jpg name."""

import numpy as np
import pytest
import rasterio

from fusiontrain import pansharpen
from fusiontrain.cli import main
from fusiontrain.errors import SceneError
from fusiontrain.scenes.value_scaling import Scale
from tests.support.geotiffs import write_pair

COMMON = ("--method", "exp", "--register", "off")


@pytest.fixture
def pair(tmp_path):
    """DN from 1000 to 3000, a linear ramp from left to right; bands half and twice as bright."""
    folder = tmp_path / "with space"
    folder.mkdir()
    ramp = np.linspace(1000, 3000, 256)[None].repeat(128, 0)
    low = ramp.reshape(32, 4, 64, 4).mean((1, 3))
    return write_pair(folder, ramp[None], np.stack([low, low / 2, low * 2]))


def fuse(pair, out, *flags):
    return main(["fuse", *pair, str(out), *COMMON, *flags])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2%,98%", ("percentiles", 2, 98)),
        ("2 %, 98", ("percentiles", 2, 98)),
        ("2,98", ("range", 2, 98)),
        ("0,99", ("range", 0, 99)),
        ("0,100", ("range", 0, 100)),
        ("0,101", ("range", 0, 101)),
        ("0,3000", ("range", 0, 3000)),
        ("0,1", ("range", 0, 1)),
        ("-5,20", ("range", -5, 20)),
        ((2, 98), ("range", 2, 98)),
        ("BITS", ("bits", 0, 0)),
    ],
)
def test_forms_of_scale(text, expected):
    scale = Scale.of(text)

    assert expected == (scale.kind, scale.low, scale.high)


@pytest.mark.parametrize("text", ["", "2", "a,b", "98,2", "1,2,3", "2%,101%", "nan,3", 7])
def test_other_forms_are_refused(text):
    with pytest.raises(SceneError, match="`scale`"):
        Scale.of(text)


@pytest.mark.parametrize("dtype", ["Byte", "int8", "int16"])
def test_a_narrower_dtype_asks_for_scale(pair, tmp_path, capsys, dtype):
    """One line, exit code 2, no file."""
    out = tmp_path / "f.tif"

    assert 2 == fuse(pair, out, "-ot", dtype)

    said = capsys.readouterr().err
    assert "--dtype" in said
    assert "--scale" in said
    assert said.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        # A quarter and three quarters of the range of DN: 1500 and 2500 of the first band.
        ("1000,3000", [(63.75, 191.25), (0, 31.9), (255, 255)]),
        # Extremes of each band: all bands become the same ramp.
        ("0%,100%", [(63.75, 191.25)] * 3),
        ("0,255", [(255, 255)] * 3),
    ],
)
def test_scales(pair, tmp_path, scale, expected):
    """The ramp's values at a quarter and at three quarters of its length."""
    out = tmp_path / "f.tif"

    assert 0 == fuse(pair, out, "-ot", "uint8", "--scale", scale)

    with rasterio.open(out) as file:
        assert ("uint8",) * 3 == file.dtypes
        row = file.read()[:, 64].astype(float)
        assert "-> 0..255" in file.tags()["PANPRIOR_SCALE"]
    for band, (low, high) in zip(row, expected, strict=True):
        assert np.abs(band[[63, 191]] - (low, high)).max() <= 2.5
        assert (np.diff(band) >= 0).all()


def test_scale_of_the_sensors_bits(pair, tmp_path):
    """IKONOS has 11 bits: 2047 becomes 255."""
    out = tmp_path / "f.tif"

    assert 0 == fuse(pair, out, "-ot", "uint8", "--scale", "bits", "-b", "2", "--sensor", "IKONOS")

    with rasterio.open(out) as file:  # 500 to 1500 of 2047
        row = file.read(1)[64].astype(float)
    assert np.abs(row[[63, 191]] - (93.4, 155.7)).max() <= 1.5


def test_python_gives_the_commands_pixels(pair, tmp_path):
    """From files and from arrays; without `scale` it refuses too."""
    out = tmp_path / "f.tif"
    fuse(pair, out, "-ot", "uint8", "--scale", "1000,3000")
    with rasterio.open(out) as file:
        expected = file.read()
    arrays = []
    for path in pair:
        with rasterio.open(path) as file:
            arrays.append(file.read())
    options = {"method": "exp", "register": False, "dtype": "uint8"}

    for images in (pair, arrays):
        fused = pansharpen(*images, scale=(1000, 3000), **options)
        assert np.array_equal(expected, fused)
        with pytest.raises(SceneError, match="`scale`"):
            pansharpen(*images, **options)


@pytest.mark.parametrize(
    ("name", "flags", "driver", "dtype"),
    [
        ("a b.jpg", ("--scale", "2%,98%"), "JPEG", "uint8"),
        ("c.PNG", (), "PNG", "uint16"),
        ("d.png", ("--scale", "2%,98%"), "PNG", "uint8"),
        ("e.tif", (), "GTiff", "uint16"),
    ],
)
def test_the_suffix_says_the_format(pair, tmp_path, name, flags, driver, dtype):
    out = tmp_path / name

    assert 0 == fuse(pair, out, *flags)

    with rasterio.open(out) as file, rasterio.open(pair[0]) as pan:
        assert (driver, dtype, 3) == (file.driver, file.dtypes[0], file.count)
        assert (pan.crs, pan.transform, pan.shape) == (file.crs, file.transform, file.shape)
    assert not list(tmp_path.glob(".part-*"))


@pytest.mark.parametrize(
    ("name", "flags", "words"),
    [
        ("a.jpg", (), "JPEG holds 1 or 3 bands of uint8; got 3 of uint16"),
        ("a.jpg", ("-b", "1,2", "--scale", "2%,98%"), "got 2 of uint8"),
        ("a.jpg", ("-of", "COG"), "--format COG"),
        ("a.tif", ("-of", "PNG"), ".png"),
        ("a.jp2", (), "a format that is not written"),
        ("a.tif", ("--quicklook", "q.bmp"), "--quicklook is a .png"),
        ("a.tif", ("--quicklook", "{out}"), "--quicklook and the output are one file"),
        ("a.tif", ("-ot", "float32", "--scale", "2%,98%"), "--scale maps DN to an integer"),
    ],
)
def test_what_cannot_be_is_refused(pair, tmp_path, capsys, name, flags, words):
    out = tmp_path / name

    assert 2 == fuse(pair, out, *(flag.format(out=out) for flag in flags))

    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize("name", ["q u.png", "q.tif", "q.jpg"])
def test_quicklook(pair, tmp_path, name):
    """The ramp from dark to bright in every band, with a place, beside the output."""
    look = tmp_path / name

    assert 0 == fuse(pair, tmp_path / "f.tif", "--quicklook", str(look))

    with rasterio.open(look) as file, rasterio.open(pair[0]) as pan:
        assert (("uint8",) * 3, pan.transform, pan.crs) == (file.dtypes, file.transform, file.crs)
        row = file.read()[:, 64].astype(float)
    assert (row[:, :3] < 8).all()
    assert (row[:, -3:] > 247).all()
    assert (np.diff(row[:, ::16]) > 0).all()


def test_a_large_scenes_quicklook_is_small_and_lies_where_the_scene_does(
    pair, tmp_path, monkeypatch
):
    monkeypatch.setattr("fusiontrain.scenes.quicklook.SIDE", 64)
    look = tmp_path / "q.tif"

    fuse(pair, tmp_path / "f.tif", "--quicklook", str(look))

    with rasterio.open(look) as file, rasterio.open(pair[0]) as pan:
        assert ((32, 64), pan.bounds) == (file.shape, file.bounds)
