"""`fuse PRODUCT OUT.tif`: the pixels of PAN MS OUT with the same files, and what a product says."""

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from rasterio.enums import ColorInterp
from rasterio.transform import Affine

from fusiontrain.cli import main
from fusiontrain.rio_plugin import fuse as rio_fuse
from tests.support import products
from tests.support.geotiffs import write_geotiff

COMMON = ("--method", "gsa", "--register", "off")
CI = ColorInterp


def fuse(*names):
    return main(["fuse", *map(str, names), *COMMON])


def test_landsat_by_its_folder(tmp_path, capsys):
    """PAN B8 and B1 to B7: the output says what each band is."""
    root, out = products.write_landsat(tmp_path / "in"), tmp_path / "out.tif"
    files = [next(root.glob(f"*_B{i}.TIF")) for i in (8, *range(1, 8))]

    assert fuse(root, out) == 0

    said = capsys.readouterr().out
    assert f"Landsat-8 level 1: {root.name}" in said
    assert "B9 is left out: it sees cirrus; B10 and B11 too" in said
    assert fuse(*files, tmp_path / "pair.tif") == 0
    assert np.array_equal(products.pixels(out), products.pixels(tmp_path / "pair.tif"))
    with rasterio.open(out) as file:
        assert (file.crs.to_epsg(), file.dtypes[0], file.nodata) == (32633, "uint16", 0)
        assert file.transform.almost_equals(Affine(15, 0, 299_992.5, 0, -15, 4_900_007.5))
        assert file.descriptions[:3] == ("B1 coastal", "B2 blue", "B3 green")
        assert (file.scales[0], file.offsets[0], file.units[0]) == (2e-5, -0.1, "reflectance")
        assert file.tags(2)["CENTRAL_WAVELENGTH_UM"] == "0.482"
        assert file.tags(2, ns="IMAGERY")["CENTRAL_WAVELENGTH_UM"] == "0.482"
        assert file.colorinterp[1:4] == (CI.blue, CI.green, CI.red)
        assert file.tags()["DATE_ACQUIRED"] == "2020-07-09"


@pytest.mark.parametrize("with_metadata", [False, True])
def test_landsat_of_which_some_bands_were_downloaded(tmp_path, capsys, with_metadata):
    """B2 to B5 and B8, with the MTL file and without; what is missing is a line."""
    root, out = products.write_landsat(tmp_path / "in"), tmp_path / "out.tif"
    gone = (
        ("B1.TIF", "B6.TIF", "B7.TIF")
        if with_metadata
        else ("B1.TIF", "B6.TIF", "B7.TIF", "MTL.txt")
    )
    for name in gone:
        next(root.glob(f"*_{name}")).unlink()
    files = [next(root.glob(f"*_B{i}.TIF")) for i in (8, 2, 3, 4, 5)]

    assert fuse(root, out) == 0

    assert "fusiontrain: not there, so left out: B1, B6, B7\n" in capsys.readouterr().out
    assert fuse(*files, tmp_path / "pair.tif") == 0
    assert np.array_equal(products.pixels(out), products.pixels(tmp_path / "pair.tif"))
    assert main(["fuse", str(root), str(tmp_path / "all"), *COMMON]) == 0
    assert f"{root.name} has no B1, B6, B7" in capsys.readouterr().out


def test_the_same_pixels_by_rio_and_python(tmp_path):
    from fusiontrain import pansharpen

    root, out = products.write_dimap(tmp_path / "in"), tmp_path / "out.tif"
    assert fuse(root, out) == 0
    expected = products.pixels(out)

    done = CliRunner().invoke(rio_fuse, [str(root), str(tmp_path / "rio.tif"), *COMMON])
    array = pansharpen(root, method="gsa", register=False)
    path = pansharpen(str(root), out=tmp_path / "api.tif", method="gsa", register=False)

    assert done.exit_code == 0
    assert np.array_equal(products.pixels(tmp_path / "rio.tif"), expected)
    assert np.array_equal(array, expected)
    assert np.array_equal(products.pixels(path), expected)


@pytest.mark.parametrize("write", [products.write_maxar, products.write_dimap])
def test_tiled_bundles_are_the_images_that_were_cut(tmp_path, write):
    """2 x 2 tiles of PAN and MS, found and put together."""
    root, out = write(tmp_path / "in"), tmp_path / "out.tif"
    whole = write(tmp_path / "whole", tiles=1)
    pan, ms = (
        next(p for p in whole.rglob("*.TIF") if kind in p.parent.name)
        for kind in (("_PAN", "_MUL") if write is products.write_maxar else ("_P_", "_MS_"))
    )

    assert fuse(root, out) == 0
    assert fuse(pan, ms, tmp_path / "pair.tif") == 0

    assert np.array_equal(products.pixels(out), products.pixels(tmp_path / "pair.tif"))
    with rasterio.open(out) as file, rasterio.open(pan) as sharp:
        assert (file.crs, file.transform, file.shape) == (sharp.crs, sharp.transform, sharp.shape)
        assert file.nodata == 0
        assert {"red", "green", "blue"} < {color.name for color in file.colorinterp}
        assert set(file.units) == {"W m-2 sr-1 um-1"}


def test_tiles_without_a_place_need_assume_aligned(tmp_path, capsys):
    root = products.write_maxar(tmp_path / "in", placed=False)

    assert fuse(root, tmp_path / "out.tif") == 2
    assert "has no geotransform" in capsys.readouterr().err
    assert main(["fuse", str(root), str(tmp_path / "o.tif"), "--assume-aligned", *COMMON]) == 0


def test_bands_are_those_of_the_output(tmp_path):
    root, out = products.write_landsat(tmp_path / "in"), tmp_path / "out.tif"

    assert main(["fuse", str(root), str(out), "-b", "4,3,2", *COMMON]) == 0

    with rasterio.open(out) as file:
        assert file.descriptions == ("B4 red", "B3 green", "B2 blue")
        assert file.colorinterp == (CI.red, CI.green, CI.blue)


def test_the_output_may_not_be_a_tile(tmp_path, capsys):
    """Files that a mosaic in memory names are inputs too."""
    root = products.write_maxar(tmp_path / "in")
    tile = next(root.rglob("*R1C1*.TIF"))
    before = tile.read_bytes()

    assert fuse(root, tile) == 2

    assert "is one of the inputs" in capsys.readouterr().err
    assert tile.read_bytes() == before


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["absent.SAFE", "o.tif"], "absent.SAFE is no folder and no file; expected a product"),
        (["x.tif", "o.tif"], "fusiontrain: one pair takes three names: fuse PAN.tif MS.tif OUT"),
        (["x.tif", "x.jp2"], "takes three names: fuse PAN.tif MS.tif OUT.tif; got x.tif and x.jp2"),
        (["x.txt", "o.tif"], "x.txt is no product's file"),
        (["LC08_x.tar", "o.tif"], "LC08_x.tar is packed: unpack it first, then give the folder"),
        (["empty", "o.tif"], "empty: expected a product (Sentinel-2 .SAFE or its zip"),
        (["x.zip", "o.tif"], "cannot read x.zip: File is not a zip file"),
        (["x.json", "o.tif"], "x.json is no STAC item"),
        (["empty", "o.jp2"], "named as a format that is not written"),
        (["empty", "none/o.tif"], "there is no folder"),
    ],
)
def test_what_is_no_product_is_one_line(tmp_path, capsys, monkeypatch, names, expected):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "x.zip").write_bytes(b"x" * 100)
    (tmp_path / "x.json").write_text("{}")
    for name in ("x.txt", "LC08_x.tar"):
        (tmp_path / name).write_text("x")
    write_geotiff(tmp_path / "x.tif", np.ones((1, 8, 8), "uint16"))

    assert fuse(*names) == 2

    errors = capsys.readouterr().err.strip().splitlines()
    assert expected in errors[0]
    assert len(errors) == 1
    assert not (tmp_path / "o.tif").exists()
