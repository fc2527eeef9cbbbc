"""What rasterio sees beside an image counts: place, nodata, masks and RPCs of sidecars."""

import shutil

import numpy as np
import pytest
import rasterio
from rasterio.io import MemoryFile
from rasterio.rpc import RPC
from rasterio.shutil import copy as copy_raster
from rasterio.transform import Affine
from rasterio.vrt import WarpedVRT

from fusiontrain import pansharpen
from fusiontrain.errors import SceneError
from fusiontrain.imaging.tiling import Box
from fusiontrain.scenes.geotiff import read_scene
from fusiontrain.scenes.grid_alignment import open_pair
from fusiontrain.scenes.open_raster import open_raster
from tests.support.geotiffs import GRID, UTM, write_geotiff

MS_GRID = GRID @ Affine.scale(4)
HOLE = (slice(4, 12), slice(6, 14))


@pytest.fixture
def images():
    rng = np.random.default_rng(4)
    ms = rng.uniform(300, 900, (3, 32, 40)).round()
    return np.kron(ms[:1], np.ones((4, 4))), ms


def world_file(path, grid, suffix):
    centre = grid @ (0.5, 0.5)
    numbers = (grid.a, grid.d, grid.b, grid.e, *centre)
    path.with_suffix(suffix).write_text("\n".join(f"{v:.10f}" for v in numbers) + "\n")


def pam(path, text):
    path.with_name(path.name + ".aux.xml").write_text(f"<PAMDataset>{text}</PAMDataset>")


def placed_by_world_file(path, image, grid):
    write_geotiff(path, image, None, None, dtype="uint16")
    world_file(path, grid, ".tfw")
    return path


def placed_by_jp2_world_file(path, image, grid):
    write_geotiff(path, image, None, None, dtype="uint16")
    jp2 = path.with_suffix(".jp2")
    copy_raster(path, jp2, driver="JP2OpenJPEG", QUALITY="100", REVERSIBLE="YES")
    world_file(jp2, grid, ".j2w")
    return jp2


def placed_by_aux_xml(path, image, grid):
    write_geotiff(path, image, None, None, dtype="uint16")
    numbers = ", ".join(map(str, grid.to_gdal()))
    pam(path, f"<SRS>{UTM}</SRS><GeoTransform>{numbers}</GeoTransform>")
    return path


PLACED = [placed_by_world_file, placed_by_jp2_world_file, placed_by_aux_xml]


@pytest.mark.parametrize("write", PLACED)
def test_a_place_beside_the_image_is_its_place(tmp_path, images, write):
    """MS begins 2 MS pixels down and right of PAN's corner: its ground is PAN's there."""
    pan, ms = images
    pan_path = write(tmp_path / "pan.tif", pan, GRID)
    ms_path = write(tmp_path / "ms.tif", ms[:, 2:, 2:], MS_GRID @ Affine.translation(2, 2))

    with open_pair(pan_path, ms_path) as pair:
        assert (30, 38) == pair.shape
        assert (8, 8) == pair.pan_origin
    scene = read_scene(pan_path, ms_path, name="as benchmark reads it")
    np.testing.assert_array_equal(scene.pan[0, ::4, ::4], scene.ms[0])


def tiled(path, image):
    """A product of one tile, with its .TIL and .IMD."""
    height, width = image.shape[1:]
    write_geotiff(path.with_name(f"{path.stem}_R1C1.tif"), image, None, None, dtype="uint16")
    path.with_suffix(".IMD").write_text(
        f'version = "28.4";\nbandId = "P";\nnumRows = {height};\nnumColumns = {width};\n'
        'bitsPerPixel = 16;\noutputFormat = "GeoTIFF";\nEND;\n'
    )
    til = path.with_suffix(".TIL")
    til.write_text(
        f'bandId = "P"\nnumTiles = 1;\ntileSizeX = {width};\ntileSizeY = {height};\n'
        'tileUnits = "Pixels";\ntileOverlap = 0;\nBEGIN_GROUP = TILE_1\n'
        f'\tfilename = "{path.stem}_R1C1.tif";\n\tULColOffset = 0;\n\tULRowOffset = 0;\n'
        f"\tLRColOffset = {width - 1};\n\tLRRowOffset = {height - 1};\nEND_GROUP = TILE_1\nEND;\n"
    )
    return til


def test_tiles_with_an_imd_are_read(tmp_path, images):
    for path, image in zip((tmp_path / "P", tmp_path / "M"), images, strict=True):
        with open_raster(tiled(path, image)) as raster:
            h, w = image.shape[1:]
            read = raster.read(Box(top=0, left=0, bottom=h, right=w))
            np.testing.assert_array_equal(image, read)


def hidden_by_mask(path, image, grid):
    hidden = np.full(image.shape[1:], 255, np.uint8)
    hidden[HOLE] = 0
    write_geotiff(path, image, grid, dtype="uint16")
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(path, "r+") as file:
        file.write_mask(hidden)
    assert path.with_name(path.name + ".msk").exists()


def hidden_by_aux_xml(path, image, grid):
    image = image.copy()
    image[:, *HOLE] = 7
    write_geotiff(path, image, grid, dtype="uint16")
    bands = range(1, len(image) + 1)
    value = "<NoDataValue>7</NoDataValue>"
    pam(path, "".join(f'<PAMRasterBand band="{i}">{value}</PAMRasterBand>' for i in bands))


@pytest.mark.parametrize("hide", [hidden_by_mask, hidden_by_aux_xml])
def test_what_a_sidecar_hides_is_missing(tmp_path, images, hide):
    pan, ms = images
    write_geotiff(tmp_path / "pan.tif", pan, dtype="uint16")
    hide(tmp_path / "ms.tif", ms, MS_GRID)

    with open_pair(tmp_path / "pan.tif", tmp_path / "ms.tif") as pair:
        valid = pair.read(Box(top=0, left=0, bottom=32, right=40)).valid

    expected = np.full((128, 160), True)
    expected[16:48, 24:56] = False
    np.testing.assert_array_equal(expected, valid)


def test_rpcs_of_a_text_file_go_into_the_output(tmp_path, images):
    pan, ms = images
    one = [1.0] + [0.0] * 19
    halves = {"line_off": 64.0, "samp_off": 80.0, "line_scale": 64.0, "samp_scale": 80.0}
    rpcs = RPC(
        height_off=100.0, height_scale=50.0, lat_off=14.0, lat_scale=0.1, long_off=20.0,
        long_scale=0.1, line_den_coeff=one, samp_den_coeff=one,
        line_num_coeff=[0.0, 0.0, 1.0] + [0.0] * 17, samp_num_coeff=[0.0, 1.0] + [0.0] * 18,
        **halves,
    )  # fmt: skip
    for name, image in (("pan", pan), ("ms", ms)):
        write_geotiff(tmp_path / f"{name}.tif", image, None, None, dtype="uint16", rpcs=rpcs)
        copy_raster(tmp_path / f"{name}.tif", tmp_path / f"{name}2.tif", RPB="NO", PROFILE="BASELINE", RPCTXT="YES")  # noqa: E501 # fmt: skip
        assert (tmp_path / f"{name}2_RPC.TXT").exists()

    pansharpen(
        tmp_path / "pan2.tif", tmp_path / "ms2.tif", tmp_path / "o.tif", method="exp",
        assume_aligned=True,
    )  # fmt: skip

    with rasterio.open(tmp_path / "o.tif") as file:
        assert (64.0, 80.0) == (file.rpcs.line_off, file.rpcs.samp_off)


def test_open_datasets_are_used_as_they_are(tmp_path, images):
    """A VRT in another CRS, a file in memory, a world file: what rasterio has open is fused."""
    pan, ms = images
    placed_by_world_file(tmp_path / "pan.tif", pan, GRID)
    placed_by_world_file(tmp_path / "ms.tif", ms, MS_GRID)
    how = {"method": "exp", "register": False}
    expected = pansharpen(tmp_path / "pan.tif", tmp_path / "ms.tif", **how)
    shutil.move(tmp_path / "ms.tfw", tmp_path / "away.tfw")

    with (
        rasterio.open(tmp_path / "pan.tif") as a,
        rasterio.open(tmp_path / "ms.tif") as b,
        WarpedVRT(b, src_crs=UTM, crs=UTM, src_transform=MS_GRID, transform=MS_GRID, width=40, height=32) as vrt,  # noqa: E501
        MemoryFile((tmp_path / "ms.tif").read_bytes()) as memory,
        memory.open() as inside,
    ):  # fmt: skip
        with WarpedVRT(a, src_crs=UTM, crs=UTM) as placed:
            np.testing.assert_array_equal(expected, pansharpen(placed, vrt, **how))
        unplaced = pansharpen(a, inside, assume_aligned=True, **how)
        np.testing.assert_array_equal(expected, unplaced)
        assert not a.closed
        assert not vrt.closed


@pytest.mark.parametrize("mode", ["closed", "r+"])
def test_a_dataset_that_cannot_be_read_says_what_to_do(tmp_path, images, mode):
    pan, ms = images
    for name, image, grid in (("pan", pan, GRID), ("ms", ms, MS_GRID)):
        write_geotiff(tmp_path / f"{name}.tif", image, grid, dtype="uint16")

    with rasterio.open(tmp_path / "ms.tif", "r" if mode == "closed" else mode) as file:
        if mode == "closed":
            file.close()
        with pytest.raises(SceneError, match=r"open for reading: open it again|rasterio\.open"):
            pansharpen(tmp_path / "pan.tif", file)
