import numpy as np
import pytest
import torch
from rasterio.transform import Affine

from fusiontrain.errors import SceneError
from fusiontrain.imaging.tiling import Box
from fusiontrain.scenes.grid_alignment import open_pair
from fusiontrain.scenes.output_values import to_dtype
from fusiontrain.scenes.writer import Output, create_fused
from tests.support.geotiffs import GRID as PAN_GRID
from tests.support.geotiffs import write_geotiff


@pytest.fixture
def files(tmp_path):
    """Writes a PAN of 96x128 and an MS at `ratio`; keywords change the MS file."""

    def make(ratio=4, h=24, w=32, bands=3, dtype="uint16", shift=(0.0, 0.0), **ms_profile):
        rng = np.random.default_rng(0)
        pan = rng.integers(100, 1000, (1, 96, 128)).astype(dtype)
        ms = rng.integers(100, 1000, (bands, h, w)).astype(dtype)
        grid = PAN_GRID @ Affine.translation(*shift) @ Affine.scale(ratio)
        options = {"transform": grid} | ms_profile
        return (
            write_geotiff(tmp_path / "pan.tif", pan),
            write_geotiff(tmp_path / "ms.tif", ms, **options),
            pan,
            ms,
        )

    return make


def test_a_plain_pair_is_aligned(files):
    """Ratio, overlap and pixels."""
    pan_path, ms_path, pan, ms = files()

    with open_pair(pan_path, ms_path) as pair:
        part = pair.read(Box(top=2, left=4, bottom=10, right=20))

    assert (4, (24, 32), 3) == (pair.ratio, pair.shape, pair.bands)
    np.testing.assert_array_equal(ms[:, 2:10, 4:20], part.ms)
    np.testing.assert_array_equal(pan[:, 8:40, 16:80], part.pan)
    assert part.valid.all()


@pytest.mark.parametrize(
    ("shift", "h", "w", "ms_origin", "pan_origin", "shape"),
    [
        ((8, 16), 24, 32, (0, 0), (16, 8), (20, 30)),  # MS starts inside PAN
        ((-8, -4), 24, 32, (1, 2), (0, 0), (23, 30)),  # MS starts outside
        ((-6, 0), 24, 32, (0, 2), (0, 2), (24, 30)),  # whole PAN pixels, not whole MS pixels
        ((0.1, -0.1), 24, 32, (0, 0), (0, 0), (24, 32)),  # a rounding of the geotransform
        ((0, 0), 30, 40, (0, 0), (0, 0), (24, 32)),  # MS reaches beyond
    ],
)
def test_only_the_overlap_is_fused(files, shift, h, w, ms_origin, pan_origin, shape):
    """Extents differ in real products."""
    pan_path, ms_path, pan, ms = files(h=h, w=w, shift=shift)

    with open_pair(pan_path, ms_path) as pair:
        part = pair.read(Box(top=0, left=0, bottom=2, right=2))

    assert (ms_origin, pan_origin, shape) == (pair.ms_origin, pair.pan_origin, pair.shape)
    y, x = ms_origin
    np.testing.assert_array_equal(ms[:, y : y + 2, x : x + 2], part.ms)
    y, x = pan_origin
    np.testing.assert_array_equal(pan[:, y : y + 8, x : x + 8], part.pan)
    expected = (300_000 + 0.5 * x, 4_800_000 - 0.5 * y)
    assert expected == (pair.transform.c, pair.transform.f)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"ratio": 1}, r"1.5 to 8 PAN pixels wide; got 1:"),
        ({"ratio": 1.4}, r"1.5 to 8 PAN pixels wide; got 1.4:"),
        ({"ratio": 8.2}, r"1.5 to 8 PAN pixels wide; got 8.2:"),
        ({"ratio": 12, "h": 8, "w": 8}, r"1.5 to 8 PAN pixels wide; got 12:"),
        ({"shift": (5000, 0)}, "do not overlap"),
        ({"shift": (0, -5000)}, "do not overlap"),
        ({"crs": "EPSG:4326"}, "no way from EPSG:4326 to EPSG:32633"),
        ({"crs": "EPSG:32634"}, "do not overlap"),
        ({"crs": None}, "the one without a CRS"),
        ({"dtype": "complex64"}, "one integer or float dtype"),
        ({"h": 6, "w": 6}, "at least 8"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_pairs_that_do_not_belong_together_are_refused(files, changes, word):
    """Each with one clear line."""
    pan_path, ms_path, *_ = files(**changes)

    with pytest.raises(SceneError, match=word), open_pair(pan_path, ms_path):
        pass


def test_exchanged_files_are_noticed(files):
    """PAN has one band."""
    pan_path, ms_path, *_ = files()

    with pytest.raises(SceneError, match="exchanged"), open_pair(ms_path, pan_path):
        pass


def test_files_that_are_none(tmp_path, files):
    """Absent, or no raster."""
    pan_path, _, *_ = files()
    (tmp_path / "text.tif").write_text("hello")

    for path in (tmp_path / "text.tif", tmp_path / "absent.tif"):
        with pytest.raises(SceneError, match="cannot read"), open_pair(pan_path, path):
            pass


def test_a_file_that_breaks_off_is_said(tmp_path, files):
    """Truncated after its header."""
    pan_path, ms_path, *_ = files()
    ms_path.write_bytes(ms_path.read_bytes()[:900])

    with pytest.raises(SceneError), open_pair(pan_path, ms_path) as pair:
        pair.read(Box(top=0, left=0, bottom=24, right=32))


def test_without_georeference_sizes_must_match(tmp_path):
    """Then the same ground is assumed, and said."""
    identity = Affine.identity()
    pan = write_geotiff(tmp_path / "p.tif", np.ones((1, 64, 48), "u2"), identity, None)
    ms = write_geotiff(tmp_path / "m.tif", np.ones((4, 16, 12), "u2"), identity, None)
    odd = write_geotiff(tmp_path / "o.tif", np.ones((4, 16, 13), "u2"), identity, None)
    placed = write_geotiff(tmp_path / "g.tif", np.ones((4, 16, 12), "u2"), PAN_GRID)

    with open_pair(pan, ms) as pair:
        assert "same ground" in pair.note
        assert (4, (16, 12)) == (pair.ratio, pair.shape)
    with pytest.raises(SceneError, match="whole multiple"), open_pair(pan, odd):
        pass
    with pytest.raises(SceneError, match="no geotransform"), open_pair(pan, placed):
        pass


def test_nodata_and_nan_are_masked(tmp_path, files):
    """In either file; what stands in is calm."""
    pan_path, ms_path, pan, ms = files(dtype="float32", nodata=-9.0)
    ms[1, 0, 0], pan[0, 95, 127] = -9.0, np.nan
    write_geotiff(pan_path, pan)
    grid = PAN_GRID @ Affine.scale(4)
    write_geotiff(ms_path, ms, grid, nodata=-9.0)

    with open_pair(pan_path, ms_path) as pair:
        part = pair.read(Box(top=0, left=0, bottom=24, right=32))

    assert 17 == int((~part.valid).sum())
    assert not part.valid[:4, :4].any()
    assert torch.isfinite(part.ms).all()
    assert torch.isfinite(part.pan).all()
    assert abs(float(part.ms[1, 0, 0]) - ms[1, 5:].mean()) < 60


def test_the_output_is_whole_or_absent(files, tmp_path):
    """An error halfway leaves what was there before."""
    pan_path, ms_path, *_ = files()
    out = tmp_path / "out.tif"
    out.write_bytes(b"before")

    def fail_halfway():
        with open_pair(pan_path, ms_path) as pair, create_fused(Output(path=out), pair):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_halfway()

    assert b"before" == out.read_bytes()
    assert {"pan.tif", "ms.tif", "out.tif"} == {p.name for p in tmp_path.iterdir()}


def test_the_output_is_never_an_input(files):
    """Not even by another path."""
    pan_path, ms_path, *_ = files()

    with (
        pytest.raises(SceneError, match="one of the inputs"),
        open_pair(pan_path, ms_path) as pair,
        create_fused(Output(path=ms_path.parent / "." / "ms.tif"), pair),
    ):
        pass


def test_dn_are_rounded_and_saturated():
    """And data never turns into nodata."""
    image = np.array([-5.0, 0.2, 0.6, 254.5, 300.0])

    np.testing.assert_array_equal(to_dtype(image, np.dtype("u1"), None), [0, 0, 1, 254, 255])
    np.testing.assert_array_equal(to_dtype(image, np.dtype("u1"), 0), [1, 1, 1, 254, 255])
    np.testing.assert_array_equal(to_dtype(image, np.dtype("u1"), 255), [0, 0, 1, 254, 254])
    np.testing.assert_array_equal(to_dtype(image, np.dtype("f4"), None), image.astype("f4"))
