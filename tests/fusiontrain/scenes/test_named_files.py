"""Nothing that a file names is opened outside its folder, or on the network."""

import socket
import threading
from xml.sax.saxutils import escape

import numpy as np
import pytest
import rasterio
from rasterio.shutil import copy as copy_raster

from fusiontrain.errors import SceneError
from fusiontrain.scenes.open_raster import open_raster
from tests.fuzz.watch import Canaries
from tests.support.geotiffs import write_geotiff

IMAGE = np.arange(256).reshape(1, 16, 16)


@pytest.fixture
def host():
    """(name of a server, connections that it got)."""
    connections = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                connections.append(connection.getpeername())
                connection.close()

        threading.Thread(target=answer, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}", connections
        server.shutdown(socket.SHUT_RDWR)


def read_all(path):
    with open_raster(path) as raster:
        raster.sample()
        return raster.read_valid


def vrt_of(source, *, relative=0, kind="SimpleSource"):
    return (
        '<VRTDataset rasterXSize="16" rasterYSize="16"><VRTRasterBand dataType="Byte" band="1">'
        f'<{kind}><SourceFilename relativeToVRT="{relative}">{escape(str(source))}'
        f"</SourceFilename><SourceBand>1</SourceBand></{kind}></VRTRasterBand></VRTDataset>"
    )


def raw_vrt_of(source):
    return (
        '<VRTDataset rasterXSize="16" rasterYSize="16">'
        '<VRTRasterBand dataType="Byte" band="1" subClass="VRTRawRasterBand">'
        f'<SourceFilename relativetoVRT="0">{source}</SourceFilename><ImageOffset>0</ImageOffset>'
        "<PixelOffset>1</PixelOffset><LineOffset>16</LineOffset></VRTRasterBand></VRTDataset>"
    )


def wms_of(host):
    return (
        f'<GDAL_WMS><Service name="TMS"><ServerUrl>http://{host}/${{z}}/${{x}}/${{y}}.png'
        "</ServerUrl></Service><DataWindow><UpperLeftX>0</UpperLeftX><UpperLeftY>16</UpperLeftY>"
        "<LowerRightX>16</LowerRightX><LowerRightY>0</LowerRightY><SizeX>16</SizeX>"
        "<SizeY>16</SizeY><TileLevel>0</TileLevel></DataWindow><BlockSizeX>16</BlockSizeX>"
        "<BlockSizeY>16</BlockSizeY><BandsCount>1</BandsCount></GDAL_WMS>"
    )


@pytest.mark.parametrize(
    "name", ["x", "x.dat", "x.xml", "x.wms", "x.tif", "x.png", "x.img", "x.VRT2"]
)
@pytest.mark.parametrize("content", ["vrt", "raw", "wms"])
def test_a_file_that_names_others_is_known_by_its_suffix(tmp_path, host, name, content):
    """A VRT or WMS under any other name is none."""
    server, connections = host
    good = write_geotiff(tmp_path / "good.tif", IMAGE, dtype="uint8")
    texts = {"vrt": vrt_of(good), "raw": raw_vrt_of(good), "wms": wms_of(server)}
    (tmp_path / name).write_text(texts[content])

    with pytest.raises(SceneError, match="cannot read"):
        read_all(tmp_path / name)

    assert not connections


def test_what_gdal_says_is_one_line(tmp_path):
    """GDAL ends its message about a band that is not there with a line end."""
    write_geotiff(tmp_path / "a.tif", np.ones((1, 16, 16)), dtype="uint8")
    text = vrt_of(tmp_path / "a.tif").replace("SourceBand>1", "SourceBand>22")
    (tmp_path / "a.vrt").write_text(text)

    with pytest.raises(SceneError, match="Illegal band") as error:
        read_all(tmp_path / "a.vrt")

    assert str(error.value).isprintable()


def test_a_vrt_of_local_rasters_is_read(tmp_path):
    """Next to it, elsewhere, and through another VRT."""
    (tmp_path / "far").mkdir()
    good = write_geotiff(tmp_path / "far" / "good.tif", IMAGE, dtype="uint8")
    (tmp_path / "a.vrt").write_text(vrt_of(good))
    (tmp_path / "b.vrt").write_text(vrt_of("far/good.tif", relative=1))
    (tmp_path / "c.VRT").write_text(vrt_of("b.vrt", relative=1))
    (tmp_path / "far" / "numbers.bin").write_bytes(IMAGE.astype("uint8").tobytes())
    (tmp_path / "d.vrt").write_text(raw_vrt_of(tmp_path / "far" / "numbers.bin"))

    for name in ("a.vrt", "b.vrt", "c.VRT", "d.vrt"):
        with open_raster(tmp_path / name) as raster:
            np.testing.assert_array_equal(IMAGE, raster.sample()[0].reshape(1, 16, 16))


@pytest.mark.parametrize(
    "source",
    [
        "/vsicurl/http://HOST/x.tif",
        "http://HOST/x.tif",
        "WMS:http://HOST/?LAYERS=a",
        "WCS:http://HOST/",
        "vrt://http://HOST/x.tif",
        "<GDAL_WMS>",
        "/vsizip/vsicurl/http://HOST/x.zip/x.tif",
        "RAW:/etc/passwd",
        "/etc/passwd",
        "/dev/zero",
        "hidden.txt",
        "self.vrt",
    ],
)
def test_a_vrt_may_name_local_rasters_only(tmp_path, host, source):
    server, connections = host
    (tmp_path / "hidden.txt").write_text(vrt_of(f"/vsicurl/http://{server}/y.tif"))
    named = wms_of(server) if source == "<GDAL_WMS>" else source.replace("HOST", server)
    path = tmp_path / "self.vrt"
    path.write_text(vrt_of(named, relative=int(source in ("hidden.txt", "self.vrt"))))

    with pytest.raises(SceneError, match=r"self\.vrt"):
        read_all(path)

    assert not connections


def test_raw_numbers_of_a_vrt_lie_beneath_it(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(range(256)))
    (tmp_path / "in" / "x.vrt").write_text(raw_vrt_of(tmp_path / "secret.bin"))

    with pytest.raises(SceneError, match="beneath its own folder"):
        read_all(tmp_path / "in" / "x.vrt")


@pytest.mark.parametrize("suffix", [".msk", ".ovr", ".MSK"])
@pytest.mark.parametrize("evil", ["vrt", "wms", "link"])
def test_masks_and_overviews_beside_an_image_are_rasters(tmp_path, host, suffix, evil):
    server, connections = host
    (tmp_path / "in").mkdir()
    path = write_geotiff(tmp_path / "in" / "x.tif", IMAGE, dtype="uint8")
    beside = tmp_path / "in" / f"x.tif{suffix}"
    other = write_geotiff(tmp_path / "other.tif", IMAGE, dtype="uint8")
    if evil == "link":
        beside.symlink_to(other)
    else:
        texts = {"vrt": vrt_of(f"/vsicurl/http://{server}/x.tif"), "wms": wms_of(server)}
        beside.write_text(texts[evil])

    with pytest.raises(SceneError, match=r"its own folder|is no TIFF"):
        read_all(path)

    assert not connections


@pytest.mark.parametrize("where", ["tag", "aux.xml"])
@pytest.mark.parametrize("name", ["/vsicurl/http://HOST/x.ovr", "../x.ovr", "beside.txt"])
def test_overviews_named_by_an_image_lie_beside_it(tmp_path, host, where, name):
    server, connections = host
    path = write_geotiff(tmp_path / "x.tif", IMAGE, dtype="uint8")
    named = name.replace("HOST", server)
    (tmp_path / "beside.txt").write_text(vrt_of(f"/vsicurl/http://{server}/x.tif"))
    if where == "tag":
        with rasterio.open(path, "r+") as file:
            file.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=named)
    else:
        (tmp_path / "x.tif.aux.xml").write_text(
            '<PAMDataset><Metadata domain="OVERVIEWS"><MDI key="OVERVIEW&#95;FILE">'
            f"{named}</MDI></Metadata></PAMDataset>"
        )

    with pytest.raises(SceneError, match=r"overview"):
        read_all(path)

    assert not connections


@pytest.mark.parametrize("tile", ["../x.tif", "/etc/passwd", "/vsicurl/http://HOST/x.tif", "t.txt"])
def test_tiles_of_a_til_lie_beside_it(tmp_path, host, tile):
    server, connections = host
    (tmp_path / "t.txt").write_text(vrt_of(f"/vsicurl/http://{server}/x.tif"))
    (tmp_path / "x.IMD").write_text("numRows = 16;\nnumColumns = 16;\nbitsPerPixel = 8;\nEND;\n")
    (tmp_path / "x.TIL").write_text(
        "numTiles = 1;\nBEGIN_GROUP = TILE_1\n"
        f'filename = "{tile.replace("HOST", server)}";\nULColOffset = 0;\nULRowOffset = 0;\n'
        "LRColOffset = 15;\nLRRowOffset = 15;\nEND_GROUP = TILE_1\nEND;\n"
    )

    with pytest.raises(SceneError, match=r"its own folder|is no TIFF"):
        read_all(tmp_path / "x.TIL")

    assert not connections


def test_other_rasters_are_read_by_their_contents(tmp_path):
    path = write_geotiff(tmp_path / "x.tif", IMAGE, dtype="uint8")
    for driver, name in (("HFA", "x.img"), ("PNG", "x.png"), ("ENVI", "x.dat"), ("GTiff", "x")):
        copy_raster(path, tmp_path / "other" if name == "x" else tmp_path / name, driver=driver)
    for name in ("x.img", "x.png", "x.dat", "other"):
        with open_raster(tmp_path / name) as raster:
            np.testing.assert_array_equal(IMAGE, raster.sample()[0].reshape(1, 16, 16))


@pytest.mark.parametrize("name", ["x.tfw", "x.tif.aux.xml", "x_RPC.TXT", "x.RPB", "X.wld", "x.IMD"])
def test_sidecars_that_are_links_stay_in_the_folder(tmp_path, name):
    """Out of it they are refused unread; a folder of links to one folder is as that folder."""
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    path = write_geotiff(tmp_path / "in" / "x.tif", IMAGE, dtype="uint8")
    (tmp_path / "out" / name).write_text("1\n0\n0\n-1\n0\n0\n")
    (tmp_path / "in" / name).symlink_to(tmp_path / "out" / name)

    with pytest.raises(SceneError, match=r"is a link to another folder; expected sidecars in the"):
        read_all(path)

    path.rename(tmp_path / "out" / "x.tif")
    path.symlink_to(tmp_path / "out" / "x.tif")
    if name in ("x.tfw", "X.wld", "x.IMD"):  # that text is none of the others
        read_all(path)


@pytest.mark.parametrize(
    ("image", "name", "refused"),
    [
        ("LC08_1_B8.tif", "LC08_1_MTL.txt", True),
        ("IMG_PHR1A_P_001.tif", "DIM_PHR1A_P_001.XML", True),
        ("scene_pan.tif", "notes.txt", False),
        ("scene_pan.tif", "scene_ms.tif", False),
    ],
)
def test_links_beside_an_image_count_by_their_names(tmp_path, image, name, refused):
    """Landsat's and Pleiades' metadata are the image's; other images and texts are not."""
    (tmp_path / "in").mkdir()
    path = write_geotiff(tmp_path / "in" / image, IMAGE, dtype="uint8")
    other = write_geotiff(tmp_path / "other", IMAGE, dtype="uint8")
    (tmp_path / "in" / name).symlink_to(other)

    if refused:
        with pytest.raises(SceneError, match="is a link to another folder"):
            read_all(path)
    else:
        read_all(path)


@pytest.mark.parametrize("beside", ["x.tif.ovr", "x.tif.msk", "x.tif.ovr+aux", "source"])
@pytest.mark.parametrize("name", ["/vsicurl/http://HOST/x.ovr", "secret.txt"])
def test_overviews_of_overviews_are_not_followed(tmp_path, host, monkeypatch, beside, name):
    """An overview, mask or source of a VRT that names overviews of its own, relative to the
    working folder: GDAL opens them with the image. Found by make fuzz."""
    server, connections = host
    (tmp_path / "in").mkdir()
    path = write_geotiff(tmp_path / "in" / "x.tif", IMAGE, dtype="uint8")
    (tmp_path / "secret.txt").write_text("secret")
    monkeypatch.chdir(tmp_path)
    named = name.replace("HOST", server)
    evil = tmp_path / "in" / ("y.tif" if beside == "source" else beside.removesuffix("+aux"))
    write_geotiff(evil, IMAGE, dtype="uint8")
    if beside.endswith("aux"):
        evil.with_name(f"{evil.name}.aux.xml").write_text(
            '<PAMDataset><Metadata domain="OVERVIEWS"><MDI key="OVERVIEW&#95;FILE">'
            f"{named}</MDI></Metadata></PAMDataset>"
        )
    else:
        with rasterio.open(evil, "r+") as file:
            file.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=named)
    if beside == "source":
        path = tmp_path / "in" / "x.vrt"
        path.write_text(vrt_of(evil))
    canaries = Canaries(tmp_path)

    with pytest.raises(SceneError, match=r"overviews"):
        read_all(path)

    assert not connections
    assert "secret.txt" not in canaries.opened()


def test_overviews_beside_an_image_name_no_others(tmp_path, host):
    """The image names x.ovr in its folder, as it may; that one names a server."""
    server, connections = host
    for name, named in (("x.tif", ":::BASE:::y.tif"), ("y.tif", f"/vsicurl/http://{server}/z.tif")):
        write_geotiff(tmp_path / name, IMAGE, dtype="uint8")
        with rasterio.open(tmp_path / name, "r+") as file:
            file.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=named)

    with pytest.raises(SceneError, match=r"y\.tif, the overviews of .*x\.tif, says"):
        read_all(tmp_path / "x.tif")

    assert not connections
