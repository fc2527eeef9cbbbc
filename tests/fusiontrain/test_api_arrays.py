"""What is missing in arrays and DataArrays is missing in the result, and the result says so."""

import numpy as np
import pytest
import rasterio
import torch
import xarray
from rasterio.transform import Affine

from fusiontrain import pansharpen
from fusiontrain.errors import SceneError
from tests.support.geotiffs import GRID, write_geotiff

HOW = {"method": "gsa", "sensor": "none", "softness": 0.3, "register": False}
DIMS = ("band", "y", "x")


@pytest.fixture
def images():
    """PAN (96, 96) and MS (3, 24, 24), DN from 200."""
    rng = np.random.default_rng(4)
    fine = 200 + np.kron(rng.uniform(0, 900, (3, 24, 24)), np.ones((4, 4)))
    ms = fine.reshape(3, 24, 4, 24, 4).mean((2, 4)).round()
    return fine.mean(0).round().astype("uint16"), ms.astype("uint16")


@pytest.fixture
def hole():
    """(96, 96): where the MS's first five rows lie."""
    hidden = np.zeros((96, 96), bool)
    hidden[:20] = True
    return hidden


def labelled(image, **attrs):
    return xarray.DataArray(image, dims=DIMS[-image.ndim :], attrs=attrs)


def geotiffs(folder, pan, ms, pan_nodata, ms_nodata):
    return (
        write_geotiff(folder / "p.tif", pan[None], dtype=str(pan.dtype), nodata=pan_nodata),
        write_geotiff(
            folder / "m.tif", ms, GRID @ Affine.scale(4), dtype=str(ms.dtype), nodata=ms_nodata
        ),
    )


def test_nan_stays_nan_whatever_the_file_had_for_it(images, hole):
    """`encoding` is of the file: in memory its fill value is data, and NaN is missing."""
    pan, ms = images
    decoded = labelled(ms.astype("float32"), units="DN")
    decoded[:, :5] = np.nan
    decoded[0, 10, 10] = 65535
    expected = pansharpen(labelled(pan), decoded, **HOW)
    decoded.encoding = {"_FillValue": 65535.0, "dtype": "uint16", "grid_mapping": "spatial_ref"}

    fused = pansharpen(labelled(pan), decoded, **HOW)

    np.testing.assert_array_equal(expected, fused)
    np.testing.assert_array_equal(np.broadcast_to(hole, fused.shape), np.isnan(fused))
    assert {"units": "DN"} == fused.attrs
    assert {"_FillValue": 65535.0, "grid_mapping": "spatial_ref"} == fused.encoding
    written = xarray.conventions.encode_cf_variable(fused.variable)
    np.testing.assert_array_equal(np.broadcast_to(hole, fused.shape), written.values == 65535)


def test_pan_and_ms_each_have_their_own_fill_value(images, tmp_path):
    """As GeoTIFFs with these nodata values; a value that the other one marks is data."""
    pan, ms = images
    pan[:8] = 0
    pan[40, 40] = 65535
    ms[:, :, :3] = 65535
    ms[:, 15, 15] = 0

    fused = pansharpen(labelled(pan, _FillValue=0), labelled(ms, _FillValue=65535), **HOW)

    files = pansharpen(*geotiffs(tmp_path, pan, ms, 0, 65535), **HOW)
    np.testing.assert_array_equal(files, fused)
    missing = np.zeros((96, 96), bool)
    missing[:8] = missing[:, :12] = True
    np.testing.assert_array_equal(np.broadcast_to(missing, fused.shape), fused == 65535)
    assert {"_FillValue": 65535} == fused.attrs


def test_a_dataarray_beside_a_plain_array(images):
    """No labels in the result, and what attrs mark is missing all the same."""
    pan, ms = images
    pan[:8] = 7

    fused = pansharpen(labelled(pan, nodata=7), ms, **HOW)

    assert type(fused) is np.ndarray
    assert (fused[:, :8] == 7).all()
    assert (fused[:, 8:] != 7).all()


@pytest.mark.parametrize("name", ["_FillValue", "missing_value", "fill_value", "nodata"])
def test_every_name_that_attrs_have_for_it(images, name):
    pan, ms = images
    ms[:, :5] = 9

    fused = pansharpen(labelled(pan), labelled(ms, **{name: np.uint16(9)}), **HOW)

    assert (fused[:, :20] == 9).all()
    assert (fused[:, 20:] != 9).all()
    assert {name: 9} == fused.attrs


def test_several_missing_values(images, hole):
    """CF has lists of them; float32 values are compared as such."""
    pan, ms = images
    ms = ms.astype("float32")
    ms[:, :3], ms[:, 3:5] = -9999, 1e20
    marks = {"_FillValue": np.float64(1e20), "missing_value": [-9999.0, 1e300]}

    fused = pansharpen(labelled(pan), labelled(ms, **marks), **HOW)

    np.testing.assert_array_equal(np.broadcast_to(hole, fused.shape), fused == np.float32(1e20))
    assert {"_FillValue": np.float32(1e20), "missing_value": np.float32(1e20)} == fused.attrs


def test_nodata_that_is_given_comes_first(images):
    """With a value, beside the attrs' own; "none": no value marks missing pixels."""
    pan, ms = images
    ms[:, :2], ms[:, 2:4] = 65535, 3
    pair = labelled(pan), labelled(ms, _FillValue=65535)

    given, none = (pansharpen(*pair, nodata=nodata, **HOW) for nodata in (3, "none"))

    assert (given[:, :16] == 3).all()
    assert (given[:, 16:] != 3).all()
    assert {"_FillValue": 3} == given.attrs
    np.testing.assert_array_equal(pansharpen(pan, ms, **HOW), none)
    assert {} == none.attrs


def test_a_fill_value_that_the_output_cannot_hold(images):
    pan, ms = images
    ms[:, :5] = 65535

    fused = pansharpen(
        labelled(pan), labelled(ms, _FillValue=65535), dtype="uint8", scale=(0, 2000), **HOW
    )

    assert (fused[:, :20] == 0).all()
    assert (fused[:, 20:] != 0).all()
    assert {"_FillValue": 0} == fused.attrs


@pytest.mark.parametrize("wrap", [np.asarray, labelled])
def test_integers_made_of_nan_keep_0_for_it(images, tmp_path, wrap):
    """As files have it: what is 0 in the result is missing."""
    pan, ms = (image.astype("float32") for image in images)
    ms[:, :5] = np.nan
    ms[:, 10] = pan[40:44] = 0
    how = HOW | {"dtype": "uint16", "scale": (0, 65535)}

    fused = pansharpen(wrap(pan), wrap(ms), **how)

    assert (fused[:, :20] == 0).all()
    assert (fused[:, 20:] != 0).all()
    np.testing.assert_array_equal(
        pansharpen(*geotiffs(tmp_path, pan, ms, None, None), **how), fused
    )


@pytest.mark.parametrize("which", ["MS", "PAN", "list of bands"])
@pytest.mark.parametrize("dtype", [None, "float32"])
def test_masked_arrays_give_a_masked_array(images, hole, which, dtype):
    """Its mask says what is missing; 0 is a value as any other."""
    pan, ms = images
    ms[0, 10:14, 10:14] = 0
    expected = pansharpen(
        pan, np.where(np.arange(24) < 5, np.nan, ms.mT).mT, dtype="float32", **HOW
    )
    if which == "PAN":
        pair = np.ma.array(pan, mask=hole), ms
    else:
        ms = np.ma.array(ms, mask=np.zeros(ms.shape, bool))
        ms[:, :5] = np.ma.masked
        pair = pan, [*ms] if which == "list of bands" else ms

    fused = pansharpen(*pair, dtype=dtype, **HOW)

    assert isinstance(fused, np.ma.MaskedArray)
    assert fused.dtype == (dtype or "uint16")
    np.testing.assert_array_equal(fused.data, fused.filled())
    np.testing.assert_array_equal(np.broadcast_to(hole, fused.shape), fused.mask)
    if which != "PAN":
        valid = expected[:, 20:] if dtype else expected[:, 20:].round().clip(0)
        np.testing.assert_array_equal(valid, fused[:, 20:])
    assert not pansharpen(pan, np.ma.array(images[1]), **HOW).mask.any()


def test_what_rasterio_masks(images, tmp_path):
    """Filled with the file's nodata value the result is what the files give."""
    pan, ms = images
    ms[:, :5] = 0
    ms[:, 10] = 0
    ms[0, 10] = 40
    paths = geotiffs(tmp_path, pan, ms, None, 0)
    with rasterio.open(paths[0]) as pan_file, rasterio.open(paths[1]) as ms_file:
        arrays = pan_file.read(masked=True), ms_file.read(masked=True)

    fused = pansharpen(*arrays, **HOW)

    np.testing.assert_array_equal(pansharpen(*paths, **HOW), fused.filled())
    assert 0 == fused.fill_value
    assert fused.mask[:, :20].all()


def test_tensors_with_a_gradient_and_of_bf16(images):
    """Without their gradient; bfloat16, which numpy lacks, as float32."""
    pan, ms = (torch.from_numpy(image.astype("float32")) for image in images)
    short = pan.bfloat16(), ms.bfloat16()
    expected = pansharpen(pan.numpy(), ms.numpy(), **HOW)

    np.testing.assert_array_equal(
        expected, pansharpen(pan.clone().requires_grad_(), torch.nn.Parameter(ms), **HOW)
    )
    np.testing.assert_array_equal(expected, pansharpen(pan, [*ms.clone().requires_grad_()], **HOW))
    of_short = pansharpen(*short, **HOW)
    assert "float32" == of_short.dtype
    np.testing.assert_array_equal(
        pansharpen(*(image.float().numpy() for image in short), **HOW), of_short
    )


@pytest.mark.parametrize(
    ("pan", "ms", "words"),
    [
        (lambda p: p, lambda m: torch.from_numpy(m * 1.0).to_sparse(), "MS must be numbers"),
        (lambda p: torch.empty(p.shape, device="meta"), lambda m: m, "PAN must be numbers"),
        (lambda p: p, lambda m: [*m[:2], m[2, :3]], "MS must be numbers"),
        (lambda p: p, lambda m: "ms.tif", "both files .* or both arrays; got ndarray and str"),
        (lambda p: p, lambda m: [], "MS must be numbers"),
        (
            labelled,
            lambda m: xarray.Dataset({"red": labelled(m[0]), "nir": labelled(m[1])}),
            "one DataArray; got a Dataset of red, nir: ",
        ),
        (lambda p: labelled(p).to_dataset(name="pan"), lambda m: m, "got a Dataset of pan: "),
        (lambda p: labelled(p[0]), labelled, "PAN must have dims"),
        (labelled, lambda m: labelled(m, _FillValue="none"), "`_FillValue` in the attrs of MS"),
        (
            lambda p: labelled(p).assign_coords(x=np.ones(96)),
            lambda m: labelled(m).assign_coords(x=np.ones(24)),
            "do not cover the same x",
        ),
        (
            lambda p: labelled(p).assign_coords(x=[f"{i}" for i in range(96)]),
            lambda m: labelled(m).assign_coords(x=[f"c{i}" for i in range(24)]),
            "coordinates x must be numbers",
        ),
    ],
)
def test_what_is_no_image_is_one_line(images, pan, ms, words):
    with pytest.raises(SceneError, match=words) as caught:
        pansharpen(pan(images[0]), ms(images[1]), **HOW)
    assert "\n" not in str(caught.value)
