import numpy as np
import pytest
import torch

from fusiontrain import metrics
from fusiontrain.errors import MetricError, ShapeError

RNG = np.random.default_rng(0)
TRUTH = RNG.uniform(100, 900, (4, 64, 64)).round()
FUSED = (TRUTH + RNG.uniform(-30, 30, TRUTH.shape)).round()
PAN = FUSED.mean(0, keepdims=True).round()
MS = TRUTH.reshape(4, 16, 4, 16, 4).mean((2, 4)).round()
TWO = ["cc", "ergas", "rmse", "sam", "scc", "scc_laplacian", "uqi", "q2n"]
DTYPES = ["u1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", ">f4", ">u2", "g"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", TWO)
def test_arrays_are_taken_as_tensors(name, dtype):
    """Of any dtype and byte order, with the value of the tensor."""
    index = getattr(metrics, name)
    images = [(image / 4).astype(dtype) for image in (TRUTH, FUSED)]

    value = index(*images)

    expected = index(*(torch.from_numpy(image.astype("f8")) for image in images))
    assert float(value) == pytest.approx(float(expected), rel=2e-3 if dtype == "f2" else 1e-5)


def test_full_resolution_and_views():
    """Views with negative strides, and arrays that may not be written."""
    fused, pan, ms = FUSED[:, ::-1], PAN[:, ::-1], MS[:, ::-1]
    for image in (fused, pan, ms):
        image.flags.writeable = False
    value = metrics.d_rho(fused, pan)
    assert float(value) == pytest.approx(
        float(metrics.d_rho(*(torch.from_numpy(image.copy()) for image in (fused, pan))))
    )


@pytest.mark.parametrize("wrong", [[[1.0]], "a", 3, np.array(["a"]), np.array([None])])
@pytest.mark.parametrize("name", TWO)
def test_what_is_neither_is_one_line(name, wrong):
    """Which argument, and what came."""
    with pytest.raises(ShapeError, match=r"gt must be a tensor or an array of numbers; got"):
        getattr(metrics, name)(wrong, FUSED)


def test_a_mask_is_not_dropped():
    """Its pixels would count."""
    with pytest.raises(MetricError, match=r"fused is a masked array.*valid="):
        metrics.rmse(TRUTH, np.ma.masked_less(FUSED, 300))
