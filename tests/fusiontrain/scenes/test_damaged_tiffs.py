"""Damaged TIFFs end in a line: where blocks are said to lie, and what GDAL signals as it reads."""

import struct
import tarfile
import zipfile

import numpy as np
import pytest
import rasterio

from fusiontrain.cli import main
from fusiontrain.errors import SceneError
from fusiontrain.imaging.tiling import Box
from fusiontrain.scenes.open_raster import open_raster
from tests.support.geotiffs import write_geotiff, write_pair

OFFSETS, LENGTHS = (273, 324), (279, 325)
LAYOUTS = {
    "strips": {"blockysize": 8},
    "tiles": {"tiled": True, "blockxsize": 32, "blockysize": 32},
    "planes": {"blockysize": 8, "interleave": "band"},
    "bigtiff": {"blockysize": 8, "bigtiff": "YES"},
    "deflate": {"blockysize": 8, "compress": "deflate"},
    "big-endian": {"blockysize": 8, "ENDIANNESS": "BIG"},
}


class Tags:
    """Tags of a TIFF's first image, to be changed in place."""

    def __init__(self, data):
        self.data = data
        self.order = "<" if data[:2] == b"II" else ">"
        self.big = struct.unpack(self.order + "H", data[2:4])[0] == 43
        self.word, self.size, step, count = ("Q", 8, 20, "Q") if self.big else ("I", 4, 12, "H")
        at = 8 if self.big else 4
        (place,) = struct.unpack(self.order + self.word, data[at : at + self.size])
        width = struct.calcsize(count)
        (number,) = struct.unpack(self.order + count, data[place : place + width])
        self.entries = {}
        for i in range(number):
            entry = place + width + i * step
            tag, kind = struct.unpack(self.order + "HH", data[entry : entry + 4])
            self.entries[tag] = entry, kind

    def put(self, tags, field, value):
        for tag in tags:
            if tag not in self.entries:
                continue
            entry, kind = self.entries[tag]
            at = {"kind": entry + 2, "count": entry + 4, "place": entry + 4 + self.size}
            if field == "values":
                (count,) = struct.unpack_from(self.order + self.word, self.data, entry + 4)
                (place,) = struct.unpack_from(self.order + self.word, self.data, at["place"])
                form = {3: "H", 4: "I", 16: "Q"}[kind]
                top = 2 ** (8 * struct.calcsize(form)) - 1
                struct.pack_into(
                    self.order + form * count, self.data, place, *[min(value, top)] * count
                )
            else:
                form = "H" if field == "kind" else self.word
                struct.pack_into(self.order + form, self.data, at[field], value)


DAMAGE = {
    "list of places beyond the file": (OFFSETS, "place", 2**31),
    "list of lengths beyond the file": (LENGTHS, "place", 2**31),
    "places beyond the file": (OFFSETS, "values", 2**31),
    "places in the header": (OFFSETS, "values", 0),
    "lengths beyond the file": (LENGTHS, "values", 2**31),
    "no lengths": (LENGTHS, "values", 0),
    "one place": (OFFSETS, "count", 1),
    "one length": (LENGTHS, "count", 1),
    "no place": (OFFSETS, "count", 0),
    "places that are no numbers": (OFFSETS, "kind", 7),
    "places that are fractions": (OFFSETS, "kind", 5),
}


def image(bands=2):
    return np.random.default_rng(0).integers(1, 1000, (bands, 64, 64))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("damage", DAMAGE)
def test_blocks_that_lie_nowhere_are_refused(tmp_path, layout, damage):
    path = write_geotiff(tmp_path / "x.tif", image(), dtype="uint16", **LAYOUTS[layout])
    with open_raster(path) as raster:
        np.testing.assert_array_equal(image(), raster.sample()[0])
    data = bytearray(path.read_bytes())
    Tags(data).put(*DAMAGE[damage])
    path.write_bytes(data)

    with pytest.raises(SceneError, match=r"x\.tif"), open_raster(path) as raster:
        raster.read(Box(top=0, left=0, bottom=64, right=64))


def test_sparse_files_pass(tmp_path):
    """Blocks that were never written: GDAL fills them."""
    path = tmp_path / "x.tif"
    profile = {"dtype": "uint8", "count": 1, "width": 512, "height": 512, "sparse_ok": True}
    with rasterio.open(path, "w", driver="GTiff", tiled=True, **profile) as file:
        file.write(np.full((1, 256, 256), 7, np.uint8), window=((0, 256), (0, 256)))

    with open_raster(path) as raster:
        assert 7 == raster.read(Box(top=0, left=0, bottom=8, right=8)).max()
        assert 0 == raster.read(Box(top=300, left=300, bottom=310, right=310)).max()


def test_an_error_that_gdal_gives_pixels_with_ends_the_run(tmp_path, monkeypatch, capsys):
    """Past the check of the file's structure: the reader's own errors."""
    pan, ms = write_pair(tmp_path, np.kron(image(1), np.ones((4, 4))), image(), blockysize=8)
    data = bytearray((tmp_path / "ms.tif").read_bytes())
    Tags(data).put(*DAMAGE["list of places beyond the file"])
    (tmp_path / "ms.tif").write_bytes(data)
    monkeypatch.setattr("fusiontrain.scenes.named_files.check_blocks", lambda path: None)

    assert 2 == main(["fuse", pan, ms, str(tmp_path / "o.tif"), "--method", "exp"])

    assert "ms.tif broke off while being read" in capsys.readouterr().err
    assert not (tmp_path / "o.tif").exists()


@pytest.mark.parametrize("bands", [1, 4])
def test_a_block_larger_than_memory_is_refused(tmp_path, bands):
    """Small as a file, since it compresses: one tile is unpacked at a time."""
    path = tmp_path / "x.tif"
    side = 32768 if bands == 1 else 16384
    profile = {"dtype": "uint8", "count": bands, "width": 512, "height": 512, "sparse_ok": True}
    tile = {"tiled": True, "blockxsize": side, "blockysize": side, "compress": "deflate"}
    with rasterio.open(path, "w", driver="GTiff", interleave="pixel", **profile, **tile):
        pass

    with pytest.raises(SceneError, match="write it in tiles"), open_raster(path):
        pass


def test_tiles_of_a_til_are_looked_at_too(tmp_path):
    """Their lists of blocks, before GDAL reads: it gives garbage, or prints a line of its own."""
    path = write_geotiff(tmp_path / "x.tif", np.ones((1, 64, 64)), dtype="uint8", blockysize=8)
    (tmp_path / "x.IMD").write_text("numRows = 64;\nnumColumns = 64;\nbitsPerPixel = 8;\nEND;\n")
    (tmp_path / "x.TIL").write_text(
        'bandId = "P";\nnumTiles = 1;\ntileSizeX = 64;\ntileSizeY = 64;\ntileUnits = "Pixels";\n'
        'tileOverlap = 0;\nBEGIN_GROUP = TILE_1\n\tfilename = "x.tif";\n\tULColOffset = 0;\n'
        "\tULRowOffset = 0;\n\tLRColOffset = 63;\n\tLRRowOffset = 63;\nEND_GROUP = TILE_1\nEND;\n"
    )
    with open_raster(tmp_path / "x.TIL") as raster:
        assert 64 == raster.height
    data = bytearray(path.read_bytes())
    Tags(data).put(OFFSETS, "values", 2**31)
    path.write_bytes(data)

    with pytest.raises(SceneError, match=r"x\.tif: block"), open_raster(tmp_path / "x.TIL"):
        pass


@pytest.mark.parametrize(
    "name",
    [
        "/vsizip/{}.zip/in/x.tif",
        "zip://{}.zip!in/x.tif",
        "/vsizip/{{{}.zip}}/in/x.tif",
        "/vsitar/{}.tar/in/x.tif",
        "tar://{}.tar!/in/x.tif",
    ],
)
def test_files_in_archives_are_looked_at_too(tmp_path, name):
    """GDAL gave garbage of blocks beyond them, without an error."""
    path = write_geotiff(tmp_path / "x.tif", np.ones((1, 64, 64)), dtype="uint8", blockysize=8)

    def pack():
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as whole:
            whole.write(path, "in/x.tif")
        with tarfile.open(tmp_path / "a.tar", "w") as whole:
            whole.add(path, "in/x.tif")
        return name.format(tmp_path / "a")

    with open_raster(pack()) as raster:
        assert bool((raster.sample()[0] == 1).all())
    data = bytearray(path.read_bytes())
    Tags(data).put(OFFSETS, "values", 2**31)
    path.write_bytes(data)

    with pytest.raises(SceneError, match=r"x\.tif: block"), open_raster(pack()):
        pass
