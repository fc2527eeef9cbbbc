"""Products read into files and what is said of them; no pixel is read."""

import json
import shutil

import pytest

from fusiontrain.errors import SceneError
from fusiontrain.scenes.products.recognition import find_product, is_product_call
from tests.support import products

TWELVE = ["B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12"]


def bands(product):
    """Descriptions in the order of the output."""
    files = [*product.sharp, *product.ms] if product.order else product.ms
    listed = [band for file in files for band in file.bands]
    return [listed[i - 1] for i in product.order] if product.order else listed


def names(product):
    return [band.name for band in bands(product)]


@pytest.fixture(scope="module")
def safe(tmp_path_factory):
    """(level, baseline) -> a .SAFE folder, made once."""
    made = {}

    def find(level="2A", baseline="05.09"):
        if (level, baseline) not in made:
            folder = tmp_path_factory.mktemp("safe")
            made[level, baseline] = products.write_safe(folder, level=level, baseline=baseline)
        return made[level, baseline]

    return find


@pytest.mark.parametrize("level", ["1C", "2A"])
@pytest.mark.parametrize(("baseline", "offset"), [("05.09", -0.1), ("02.14", 0.0)])
def test_sentinel_2(safe, level, baseline, offset):
    """reflectance = (DN + offset) / 10000, by the ESA's definition of baseline 04.00."""
    product = find_product(safe(level, baseline))

    assert product.kind == f"Sentinel-2 L{level}"
    assert names(product) == TWELVE
    assert {band.scale for band in bands(product)} == {1e-4}
    assert {band.offset for band in bands(product)} == {offset}
    wavelengths = {band.name: band.wavelength for band in bands(product)}
    assert wavelengths["B8A"] == pytest.approx(0.8647)
    assert wavelengths["B12"] == pytest.approx(2.2024)
    assert [file.nodata for file in product.ms] == [0.0] * 8
    assert any("B10 is left out" in note for note in product.notes) == (level == "1C")
    assert any("12.3 % by the metadata" in note for note in product.notes)


def test_the_pilot_level_2a_of_2017(safe, tmp_path):
    """IMAGE_FILE_2A, L2A_BOA_QUANTIFICATION_VALUE, no wavelengths: those of Sentinel-2A count."""
    root = tmp_path / safe(baseline="02.14").name
    shutil.copytree(safe(baseline="02.14"), root)
    edit(root, "IMAGE_FILE>", "IMAGE_FILE_2A>", "BOA_QUANT", "L2A_BOA_QUANT", "CENTRAL", "X")

    product = find_product(root)

    assert names(product) == TWELVE
    assert {(band.scale, band.offset) for band in bands(product)} == {(1e-4, 0.0)}
    assert bands(product)[-1].wavelength == pytest.approx(2.2024)


def test_each_band_is_read_at_its_own_resolution(safe):
    """Not the copies of sharp bands at 20 m, nor B01 at 20 m."""
    product = find_product(safe())

    read = [str(file).rpartition("_")[0][-3:] + str(file)[-8:-4] for file in product.sharp]
    assert read == ["B02_10m", "B03_10m", "B04_10m", "B08_10m"]
    folders = {file.bands[0].name: str(file).split("/")[-2] for file in product.ms}
    assert folders == {
        **dict.fromkeys(("B05", "B06", "B07", "B8A", "B11", "B12"), "R20m"),
        "B01": "R60m",
        "B09": "R60m",
    }


def test_special_values_are_the_metadatas(safe, tmp_path):
    root = tmp_path / safe().name
    shutil.copytree(safe(), root)
    edit(root, "<SPECIAL_VALUE_INDEX>65535<", "<SPECIAL_VALUE_INDEX>32767<")

    assert {file.saturated for file in find_product(safe()).ms} == {65535.0}
    product = find_product(root)
    assert {(file.nodata, file.saturated) for file in product.ms} == {(0.0, 32767.0)}
    assert any("DN 0 (no data), 32767 (saturated) count" in note for note in product.notes)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("310.5<", "310.5 7<", "MSK_TECQUA_B05.gml: a posList is no ring"),
        ("310.5<", "nan<", "a posList is no ring"),
        ('Dimension="3"', 'Dimension="9"', "a posList is no ring"),
        ("</eop:Mask>", "", "cannot read .*MSK_TECQUA_B05.gml"),
    ],
)
def test_a_damaged_mask_of_polygons_is_one_line(tmp_path, old, new, expected):
    root = products.write_safe(tmp_path, baseline="02.14", lost={"B05": {3: (1, 2)}})
    (path,) = root.rglob("MSK_TECQUA_B05.gml")
    path.write_text(path.read_text().replace(old, new))

    with pytest.raises(SceneError, match=expected):
        find_product(root)


def test_a_zip_is_the_same_product(safe, tmp_path):
    """Nothing is unpacked: GDAL reads within it."""
    folder = tmp_path / safe().name
    shutil.copytree(safe(), folder)
    path = products.zipped(folder)

    product = find_product(path)

    assert bands(product) == bands(find_product(safe()))
    assert all(str(file).startswith(f"/vsizip/{path}/") for file in product.ms)
    assert {p.name for p in tmp_path.iterdir()} == {folder.name, path.name}


@pytest.mark.parametrize("name", ["MTD_MSIL2A.xml", ""])
def test_the_metadata_or_a_folder_around_it_name_the_product_too(safe, name):
    path = safe() / name if name else safe().parent

    assert find_product(path).name == safe().name


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda root: next(root.rglob("*_B05_20m.jp2")).unlink(), "lacks the image of B05"),
        (lambda root: (root / "MTD_MSIL2A.xml").unlink(), "has no MTD_MSIL1C.xml or MTD_MSIL2A"),
        (lambda root: edit(root, "05.09</PROC", "five</PROC"), "baseline 'five' is unknown"),
        (lambda root: edit(root, "05.09</PROC", "</PROC"), "baseline None is unknown"),
        (
            lambda root: edit(root, "BOA_ADD_OFFSET band", "X band", "/BOA_ADD_OFFSET>", "/X>"),
            "B01",
        ),
        (lambda root: edit(root, ">10000<", "><"), "BOA_QUANTIFICATION_VALUE is None"),
        (lambda root: edit(root, ">10000<", ">0<"), "expected one over 0"),
        (lambda root: edit(root, ">-1000<", ">nan<"), "BOA_ADD_OFFSET is 'nan'"),
        (lambda root: edit(root, "<n1:General_Info>", "<n1:General_Info"), "cannot read"),
        (lambda root: edit(root, "IMAGE_FILE>", "IMAGE_ID>"), "the format before December 2016"),
        (lambda root: edit(root, "_B05_20m<", "_B55_20m<"), "names no image of B05"),
        (lambda root: edit(root, "IMG_DATA/R20m/", "../../../R20m/"), "names no image of B05"),
    ],
)
def test_a_bad_sentinel_2_product_is_one_line(safe, tmp_path, damage, expected):
    root = tmp_path / safe().name
    shutil.copytree(safe(), root)
    damage(root)

    with pytest.raises(SceneError, match=expected) as caught:
        find_product(root)

    assert "\n" not in str(caught.value)
    assert root.name in str(caught.value)


def edit(root, *pairs):
    """Replace in the one metadata file of the folder."""
    (path,) = [p for p in root.iterdir() if p.is_file()] or root.rglob("DIM_*_MS_*")
    text = path.read_text()
    for old, new in zip(pairs[::2], pairs[1::2], strict=True):
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)


@pytest.mark.parametrize("form", ["txt", "json", "xml"])
@pytest.mark.parametrize("satellite", [7, 8, 9])
def test_landsat(tmp_path, satellite, form):
    """REFLECTANCE_MULT and _ADD of the MTL; cirrus and heat left out."""
    root = products.write_landsat(tmp_path, satellite=satellite, form=form)

    product = find_product(root)

    assert product.kind == f"Landsat-{satellite} level 1"
    assert product.name == root.name
    blue = ["B1 blue", "B2 green", "B3 red", "B4 nir", "B5 swir1", "B7 swir2"]
    new = ["B1 coastal", "B2 blue", "B3 green", "B4 red", "B5 nir", "B6 swir1", "B7 swir2"]
    assert names(product) == (blue if satellite == 7 else new)
    assert str(product.sharp[0]).endswith("_B8.TIF")
    assert {(band.scale, band.offset) for band in bands(product)} == {(2e-5, -0.1)}
    assert product.ms[0].tags["SUN_ELEVATION"] == "61.25"
    assert find_product(next(root.glob("*_MTL.*"))).name == root.name


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        (("LANDSAT_8", "LANDSAT_5"), "SPACECRAFT_ID is 'LANDSAT_5'"),
        (('"L1TP"', '"L2SP"'), "level 2, L2SP, which has no PAN"),
        (("_T1_B3.TIF", "/../B3.TIF"), "expected one in its own folder"),
        (("_T1_B8.TIF", "_T1_B88.TIF"), "has no LC08_.*_B88.TIF"),
        (("REFLECTANCE_ADD_BAND_3 = -0.100000", "X = 1"), "REFLECTANCE_ADD_BAND_3 is None"),
    ],
)
def test_a_bad_landsat_product_is_one_line(tmp_path, pairs, expected):
    root = products.write_landsat(tmp_path)
    path = next(root.glob("*_MTL.txt"))
    assert pairs[0] in path.read_text()
    path.write_text(path.read_text().replace(*pairs))

    with pytest.raises(SceneError, match=expected):
        find_product(root)


@pytest.mark.parametrize("metadata", ["IMD", "XML"])
def test_maxar(tmp_path, metadata):
    """absCalFactor / effectiveBandwidth of the IMD: 9.0e-3 / 4.5e-2."""
    product = find_product(products.write_maxar(tmp_path, metadata=metadata))

    assert product.kind == "Maxar bundle, WV02"
    assert names(product) == [
        *("coastal", "blue", "green", "yellow", "red", "rededge", "nir1", "nir2")
    ]
    assert bands(product)[0].scale == pytest.approx(0.2)
    assert product.ms[0].tags["CLOUDCOVER"] == "0.014"


def test_a_til_file_names_the_bundle(tmp_path):
    root = products.write_maxar(tmp_path)

    assert find_product(next(root.glob("*_PAN/*.TIL"))).name == find_product(root).name


def test_several_parts_of_a_maxar_order_are_told_apart(tmp_path):
    """Which one is meant cannot be known."""
    root = products.write_maxar(tmp_path)
    for path in [*root.rglob("*P001*.TIF")]:
        shutil.copy(path, path.with_name(path.name.replace("P001", "P002")))

    with pytest.raises(SceneError, match="2 parts, 014670314010_01_P001, 014670314010_01_P002"):
        find_product(root)


@pytest.mark.parametrize("form", ["TIF", "JP2"])
def test_dimap(tmp_path, form):
    """Radiance = DN / GAIN + BIAS, in the order of the file's bands."""
    root = products.write_dimap(tmp_path, form=form)

    product = find_product(root)

    assert product.kind == "PHR1A DIMAP"
    assert names(product) == ["B2 red", "B1 green", "B0 blue", "B3 nir"]
    assert [band.scale for band in bands(product)] == pytest.approx(
        [1 / 10, 1 / 11, 1 / 12, 1 / 13]
    )
    assert {band.offset for band in bands(product)} == {0.5}
    assert [band.wavelength for band in bands(product)] == pytest.approx([0.66, 0.55, 0.49, 0.85])


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        (('href="IMG', 'href="../IMG'), "expected a file in its own folder"),
        (('href="IMG', 'href="/IMG'), "expected a file in its own folder"),
        (("_R2C1.TIF", "_R9C1.TIF"), "has no IMG_PHR1A_MS_001/IMG_.*_R9C1.TIF"),
        (("<GAIN>10<", "<GAIN>0<"), "GAIN of B2 is 0"),
        ((">MS<", ">P<"), "expected the DIM_.*XML of one PAN and of one MS"),
        (('version="2.0"', 'version="1.1"'), "expected DIMAP of version 2"),
    ],
)
def test_a_bad_dimap_product_is_one_line(tmp_path, pairs, expected):
    root = products.write_dimap(tmp_path)
    edit(root, *pairs)

    with pytest.raises(SceneError, match=expected):
        find_product(root)


def test_a_stac_item(tmp_path):
    """Names, wavelengths, scale and offset are the item's; the picture of three bands is none."""
    product = find_product(products.write_stac(tmp_path / "item"))

    assert names(product) == TWELVE
    assert {(band.scale, band.offset) for band in bands(product)} == {(1e-4, -0.1)}
    assert bands(product)[0].wavelength == pytest.approx(0.4427)
    assert product.notes == ()


@pytest.mark.parametrize(
    ("properties", "offset"),
    [({"s2:processing_baseline": "05.09"}, -0.1), ({"s2:processing_baseline": "02.14"}, 0.0)],
)
def test_an_item_without_scales_goes_by_its_baseline(tmp_path, properties, offset):
    path = products.write_stac(tmp_path / "item", **properties)
    item = json.loads(path.read_text())
    for asset in item["assets"].values():
        asset.pop("raster:bands", None)
    path.write_text(json.dumps(item))

    assert {(b.scale, b.offset) for b in bands(find_product(path))} == {(1e-4, offset)}


def test_an_offset_that_is_applied_is_not_applied_again(tmp_path):
    """Earth Search says so in the item."""
    path = products.write_stac(tmp_path / "item", **{"earthsearch:boa_offset_applied": True})

    assert {band.offset for band in bands(find_product(path))} == {0.0}


@pytest.mark.parametrize(
    "href",
    [
        "/etc/hostname",
        "../B05.tif",
        "file:///etc/hostname.tif",
        "/vsicurl/https://example.org/B05.tif",
        "http://169.254.169.254/latest/B05.tif",
        "https:///B05.tif",
        "absent.tif",
    ],
)
def test_what_an_item_may_not_name(tmp_path, href):
    """Files outside its folder, places without a host, hosts without encryption."""
    path = products.write_stac(tmp_path / "item")
    shutil.copy(tmp_path / "item" / "B05.tif", tmp_path / "B05.tif")
    item = json.loads(path.read_text())
    item["assets"]["B05"]["href"] = href
    path.write_text(json.dumps(item))

    with pytest.raises(SceneError, match=r"expected https|no asset of B05"):
        find_product(path)


def test_an_item_on_a_server_has_no_files_here(tmp_path):
    """Its hrefs are places beside it, or others of https."""
    from fusiontrain.scenes.products.stac import read_stac

    item = json.loads(products.write_stac(tmp_path / "item").read_text())
    item["assets"]["B05"]["href"] = "https://elsewhere.example/B05.tif"

    product = read_stac(item, "https://catalogue.example/collections/x/items/y")

    read = {file.bands[0].name: str(file) for file in (*product.sharp, *product.ms)}
    assert read["B02"] == "https://catalogue.example/collections/x/items/B02.tif"
    assert read["B05"] == "https://elsewhere.example/B05.tif"
    assert product.notes == ("images are read from catalogue.example, elsewhere.example",)
    item["assets"]["B05"]["href"] = "file:///etc/B05.tif"
    with pytest.raises(SceneError, match="expected https"):
        read_stac(item, "https://catalogue.example/collections/x/items/y")


def test_links_out_of_a_product_are_not_followed(tmp_path):
    root = products.write_landsat(tmp_path / "x")
    path = next(root.glob("*_B3.TIF"))
    path.rename(tmp_path / "elsewhere.tif")
    path.symlink_to(tmp_path / "elsewhere.tif")

    with pytest.raises(SceneError, match="is a link out of the product"):
        find_product(root)


@pytest.mark.parametrize(
    ("first", "out", "expected"),
    [
        ("folder", "o.tif", True),
        ("folder", "out", False),
        ("folder", "folder.tif", False),  # a folder that is there
        ("X.SAFE", "out", True),
        ("file.zip", "out", True),
        ("https://example.org/item", "out", True),
    ],
)
def test_a_product_is_told_from_a_folder_of_pairs(tmp_path, first, out, expected):
    """By OUT: a raster's name is one product's, any other a folder's."""
    for name in ("folder", "folder.tif", "X.SAFE"):
        (tmp_path / name).mkdir()
    first = first if "://" in first else str(tmp_path / first)

    assert is_product_call(first, tmp_path / out) is expected


def test_a_folder_of_one_pair_is_a_product_too(tmp_path):
    """And one of several is refused with what to do."""
    for name in ("a", "b"):
        for kind in ("pan", "ms"):
            (tmp_path / f"{name}_{kind}.tif").touch()

    with pytest.raises(SceneError, match="it has 2 pairs: for every pair of a folder give OUT_FOL"):
        find_product(tmp_path)
    (tmp_path / "b_pan.tif").unlink()
    (tmp_path / "b_ms.tif").unlink()

    assert find_product(tmp_path).kind == "pair"
