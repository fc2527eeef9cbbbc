"""What fusing takes: grids, CRS, masks and places of real products. Expected: the ground itself."""

import zipfile

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp
from rasterio.rpc import RPC
from rasterio.shutil import copy as copy_raster
from rasterio.transform import Affine
from rasterio.warp import transform as move
from scipy.ndimage import binary_erosion

from fusiontrain.api import pansharpen
from fusiontrain.cli import main
from fusiontrain.errors import SceneError
from fusiontrain.imaging.tiling import Box
from fusiontrain.scenes.grid_alignment import open_pair
from tests.support.file_server import served
from tests.support.geotiffs import write_geotiff

UTM = "EPSG:32633"
GRID = Affine(0.5, 0, 400_000, 0, -0.5, 4_800_000)
WAVES = (61.0, 47.0, 83.0)  # metres


def ground(x, y, band=0):
    """What lies at (x, y), metres of UTM 33: the truth of every scene here."""
    return 1000 + 300 * np.sin(x / WAVES[band]) + 200 * np.cos(y / WAVES[band] + band)


def centres(grid, shape):
    rows, columns = np.mgrid[: shape[0], : shape[1]] + 0.5
    return grid.a * columns + grid.b * rows + grid.c, grid.d * columns + grid.e * rows + grid.f


def seen(grid, shape, bands, crs=UTM):
    x, y = centres(grid, shape)
    if crs != UTM:
        flat = move(crs, UTM, x.ravel().tolist(), y.ravel().tolist())
        x, y = (np.array(v).reshape(shape) for v in flat)
    return np.stack([ground(x, y, band % 3) for band in range(bands)])


def write(path, image, transform=GRID, crs=UTM, dtype="uint16", **options):
    return write_geotiff(path, image, transform, crs, dtype=dtype, **options)


@pytest.fixture
def pan(tmp_path):
    return write(tmp_path / "pan.tif", seen(GRID, (320, 400), 1))


def whole(pair):
    return pair.read(Box(top=0, left=0, bottom=pair.shape[0], right=pair.shape[1]))


def truth_of(pair):
    """The ground at the centres of the pair's MS pixels."""
    return seen(pair.transform @ Affine.scale(pair.ratio), pair.shape, pair.bands)


@pytest.mark.parametrize("ratio", [1.5, 2.5, 3.7, 4.02, 7.9])
def test_a_ratio_that_is_no_whole_number_is_warped(tmp_path, pan, ratio):
    """MS lies on the ground where it lay; what was done is said."""
    grid = GRID @ Affine.translation(3.3, -5.1) @ Affine.scale(ratio)
    shape = int(340 / ratio), int(420 / ratio)
    ms = write(tmp_path / "ms.tif", seen(grid, shape, 2), grid, dtype="float32")

    with open_pair(pan, ms) as pair:
        part, expected = whole(pair), truth_of(pair)

    assert max(2, int(ratio + 0.5)) == pair.ratio
    assert "warped onto the PAN's grid" in pair.note
    assert min(pair.shape) >= 34
    inner = part.valid[:: pair.ratio, :: pair.ratio].numpy()
    assert inner.mean() > 0.95
    assert np.abs(part.ms.numpy() - expected)[:, inner].max() < 3  # of an amplitude of 500


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857", "EPSG:32632", "EPSG:3035"])
def test_another_crs_is_warped(tmp_path, pan, crs):
    """Each MS pixel shows the ground that it is said to."""
    (x, y), (h, w) = (GRID.c, GRID.f), (110, 130)
    left, top = (v[0] for v in move(UTM, crs, [x - 20], [y + 20]))
    right, bottom = (v[0] for v in move(UTM, crs, [x + 220], [y - 180]))
    grid = Affine((right - left) / w, 0, left, 0, (bottom - top) / h, top)
    ms = write(tmp_path / "ms.tif", seen(grid, (h, w), 3, crs), grid, crs, "float32")

    with open_pair(pan, ms) as pair:
        part, expected = whole(pair), truth_of(pair)

    assert f"MS is in {crs}" in pair.note
    inner = part.valid[:: pair.ratio, :: pair.ratio].numpy()
    assert inner.mean() > 0.85
    assert np.abs(part.ms.numpy() - expected)[:, inner].max() < 3


def test_a_turned_grid_is_warped(tmp_path, pan):
    """Same CRS, other axes. What the MS does not cover is missing."""
    grid = GRID @ Affine.translation(100, -60) @ Affine.rotation(30) @ Affine.scale(4)
    ms = write(tmp_path / "ms.tif", seen(grid, (90, 90), 2), grid, dtype="float32")

    with open_pair(pan, ms) as pair:
        part, expected = whole(pair), truth_of(pair)

    inner = part.valid[::4, ::4].numpy()
    assert 0.3 < inner.mean() < 0.95
    inner = binary_erosion(inner, iterations=2)  # a cubic beside the edge has one side only
    assert np.abs(part.ms.numpy() - expected)[:, inner].max() < 3


def test_warped_windows_are_the_warped_whole(tmp_path, pan):
    """Read in pieces or at once."""
    grid = GRID @ Affine.scale(3.7)
    rng = np.random.default_rng(1)
    ms = write(tmp_path / "ms.tif", rng.uniform(0, 1000, (2, 86, 108)), grid, dtype="float32")

    with open_pair(pan, ms) as pair:
        part = whole(pair)
        for box in (
            Box(top=0, left=0, bottom=30, right=41),
            Box(top=17, left=33, bottom=61, right=90),
        ):
            piece = pair.read(box)
            expected = part.ms[:, box.top : box.bottom, box.left : box.right]
            np.testing.assert_allclose(piece.ms, expected, atol=0.02)


@pytest.mark.parametrize("kind", ["alpha", "mask"])
@pytest.mark.parametrize("which", ["pan", "ms"])
def test_alpha_and_masks_are_honoured_and_written(tmp_path, kind, which):
    """What one of them hides is hidden in the output, and nothing else."""
    full = 65535
    ms_grid = GRID @ Affine.scale(4)
    pan, ms = seen(GRID, (320, 400), 1), seen(ms_grid, (80, 100), 4)
    ms_mask, pan_mask = np.full((80, 100), True), np.full((320, 400), True)
    (ms_mask if which == "ms" else pan_mask)[: 20 if which == "ms" else 80] = False
    paths = tmp_path / "p.tif", tmp_path / "m.tif"
    for path, data, grid, mask in (
        (paths[0], pan, GRID, pan_mask),
        (paths[1], ms, ms_grid, ms_mask),
    ):
        if path.name[0] != which[0]:
            write(path, data, grid)
        elif kind == "mask":
            write(path, data, grid, mask=mask)
        else:
            both = np.concatenate([data, mask[None] * float(full)])
            colours = [ColorInterp.gray] + [ColorInterp.undefined] * (len(data) - 1)
            write(path, both, grid, colours=[*colours, ColorInterp.alpha])
    out = tmp_path / "f.tif"

    assert 0 == main(["fuse", *map(str, paths), str(out), "--method", "glp-fs"])

    with rasterio.open(out) as file:
        assert (4, None) == (file.count, file.nodata)
        shown = file.dataset_mask() > 0
    assert not shown[:80].any()
    assert shown[80:].all()
    array = pansharpen(*paths, method="glp-fs")
    np.testing.assert_array_equal(np.broadcast_to(~shown, array.shape), np.ma.getmaskarray(array))


def test_near_infrared_flagged_as_alpha_is_a_band(tmp_path, pan):
    """As many writers flag it."""
    grid = GRID @ Affine.scale(4)
    colours = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)
    ms = write(tmp_path / "ms.tif", seen(grid, (80, 100), 4), grid, colours=colours)

    with open_pair(pan, ms) as pair:
        assert 4 == pair.bands
        assert whole(pair).valid.all()


def test_bands_are_chosen_in_order(tmp_path, pan):
    """And named as they were."""
    grid = GRID @ Affine.scale(4)
    ms = write(tmp_path / "ms.tif", seen(grid, (80, 100), 3), grid)
    with rasterio.open(ms, "r+") as file:
        file.descriptions = ("blue", "green", "red")
    out = tmp_path / "f.tif"

    assert 0 == main(["fuse", str(pan), str(ms), str(out), "--method", "exp", "-b", "3", "-b", "1"])

    with rasterio.open(out) as file, rasterio.open(ms) as source:
        assert ("red", "blue") == file.descriptions
        for band, own in ((1, 3), (2, 1)):
            low = file.read(band).astype(float).reshape(80, 4, 100, 4).mean((1, 3))
            np.testing.assert_allclose(low[4:-4, 4:-4], source.read(own)[4:-4, 4:-4], atol=4)


@pytest.mark.parametrize(("rows", "columns"), [(0.0, 0.0), (1.3, -2.6), (-3.25, 0.5)])
def test_a_shift_is_measured_and_undone(tmp_path, rows, columns):
    """MS of a finer scene, taken so many MS pixels off: known to the tenth."""
    rng = np.random.default_rng(2)
    fine = rng.uniform(0, 1, (1280, 1280))
    spectrum = np.fft.rfft2(fine)
    fy, fx = np.fft.fftfreq(1280)[:, None], np.fft.rfftfreq(1280)
    size = np.hypot(fy, fx)
    natural = spectrum / np.maximum(size, 1e-3) ** 1.5
    scale = 200 / np.fft.irfft2(natural).std()
    pan = np.fft.irfft2(natural) * scale + 1000
    turn = np.exp(-2j * np.pi * (fy * rows * 4 + fx * columns * 4))  # MS lies that much further on
    blurred = np.fft.irfft2(natural * turn * np.exp(-((size / 0.09) ** 2))) * scale + 1000
    low = blurred.reshape(320, 4, 320, 4).mean((1, 3))
    ms = np.stack([low * gain + 10 * rng.normal(size=low.shape) for gain in (0.6, 1.0, 1.2)])
    paths = tmp_path / "p.tif", tmp_path / "m.tif"
    write(paths[0], pan[None])
    write(paths[1], ms, GRID @ Affine.scale(4))

    with open_pair(*paths, match=True) as pair:
        assert (-rows, -columns) == (
            pytest.approx(pair.match.rows, abs=0.1),
            pytest.approx(pair.match.columns, abs=0.1),
        )
        part = whole(pair)
    expected = part.pan[0].numpy().reshape(pair.shape[0], 4, pair.shape[1], 4).mean((1, 3))
    inner = slice(6, -6)
    seen_after = np.corrcoef(
        part.ms[1].numpy()[inner, inner].ravel(), expected[inner, inner].ravel()
    )
    assert seen_after[0, 1] > 0.97


def test_a_shift_beyond_the_limit_is_refused(tmp_path):
    """Two scenes of different ground are not pulled together."""
    rng = np.random.default_rng(3)
    pan = np.kron(rng.uniform(0, 1000, (160, 160)), np.ones((4, 4)))
    low = np.roll(pan, (60, 0), (0, 1)).reshape(160, 4, 160, 4).mean((1, 3))
    paths = (
        write(tmp_path / "p.tif", pan[None]),
        write(tmp_path / "m.tif", np.stack([low, low]), GRID @ Affine.scale(4)),
    )

    with (
        pytest.raises(SceneError, match=r"-15.* over the limit of 8"),
        open_pair(*paths, match=True),
    ):
        pass


def test_unorthorectified_pairs_need_a_word(tmp_path, capsys):
    """With RPCs alone: --assume-aligned, or --match; PAN's RPCs go with its pixels."""
    one = [1.0] + [0.0] * 19
    rpcs = RPC(
        height_off=100.0,
        height_scale=50.0,
        lat_off=14.0,
        lat_scale=0.1,
        line_den_coeff=one,
        line_num_coeff=[0.0, 0.0, 1.0] + [0.0] * 17,
        line_off=160.0,
        line_scale=160.0,
        long_off=20.0,
        long_scale=0.1,
        samp_den_coeff=one,
        samp_num_coeff=[0.0, 1.0] + [0.0] * 18,
        samp_off=200.0,
        samp_scale=200.0,
    )
    pan = write(tmp_path / "p.tif", seen(GRID, (323, 400), 1), None, None, rpcs=rpcs)
    ms = write(
        tmp_path / "m.tif", seen(GRID @ Affine.scale(4), (80, 100), 2), None, None, rpcs=rpcs
    )
    call = ["fuse", str(pan), str(ms), str(tmp_path / "f.tif"), "--method", "exp"]

    assert 2 == main(call)
    said = capsys.readouterr().err
    assert said.startswith("fusiontrain: give --assume-aligned if PAN and MS cover the same ground")
    assert "and --match if a shift is left to be measured: " in said
    assert said.endswith("p.tif has no geotransform (only RPCs)\n")
    assert 0 == main([*call, "--assume-aligned"])

    with rasterio.open(tmp_path / "f.tif") as file:
        assert (320, 400) == file.shape
        assert file.rpcs.line_off == rpcs.line_off


def test_jp2_vrt_and_places_that_are_no_files(tmp_path, pan):
    """All give the GeoTIFF's pixels: JPEG2000 without loss, a VRT, a zip, a server."""
    grid = GRID @ Affine.scale(4)
    data = seen(grid, (80, 100), 3)
    ms = write(tmp_path / "ms.tif", data, grid)
    copy_raster(ms, tmp_path / "ms.jp2", driver="JP2OpenJPEG", QUALITY="100", REVERSIBLE="YES")
    copy_raster(ms, tmp_path / "ms.vrt", driver="VRT")
    with zipfile.ZipFile(tmp_path / "ms.zip", "w") as box:
        box.write(ms, "inner/ms.tif")
    with served(tmp_path) as url:
        for place in (
            tmp_path / "ms.jp2",
            str(tmp_path / "ms.vrt"),
            f"/vsizip/{tmp_path}/ms.zip/inner/ms.tif",
            f"{url}/ms.tif",
        ):
            with open_pair(pan, place) as pair:
                np.testing.assert_array_equal(data.round(), whole(pair).ms)
        with pytest.raises(SceneError, match="cannot read"), open_pair(pan, f"{url}/absent.tif"):
            pass


@pytest.mark.slow
def test_every_real_pair_is_fused(shared, tmp_path):
    """26 scenes: PAN's grid, MS's bands and dtype; without detail, MS comes back."""
    folder = shared("data/real")
    how = [
        "--method",
        "exp",
        "--assume-aligned",
        "--sensor",
        "none",
        "--softness",
        "0.3",
        "--register",
        "off",
        "-q",
        "-of",
        "GTiff",
    ]
    for path in sorted(folder.glob("*_pan.tif")):
        coarse = path.with_name(path.name.replace("_pan", "_ms"))
        out = tmp_path / path.name

        assert 0 == main(["fuse", str(path), str(coarse), str(out), *how])

        with rasterio.open(path) as pan, rasterio.open(coarse) as ms, rasterio.open(out) as file:
            assert (ms.count, ms.dtypes, ms.descriptions) == (
                file.count,
                file.dtypes,
                file.descriptions,
            )
            assert (pan.crs, pan.transform) == (file.crs, file.transform)
            assert (pan.height // ms.height * ms.height, pan.width) == file.shape
            ratio = file.width // ms.width
            low = file.read().reshape(ms.count, ms.height, ratio, ms.width, ratio).mean((2, 4))
            assert np.corrcoef(low.ravel(), ms.read().ravel())[0, 1] > 0.95
