"""The toolbox's filters and no-reference indices, against the toolbox's own arrays."""

import numpy as np
import pytest
import torch

from fusiontrain.errors import ShapeError
from fusiontrain.imaging.reference_toolbox import imresize_bicubic, interp23, mtf_filter, mtf_kernel
from fusiontrain.metrics import d_lambda, d_lambda_k, d_s, hqnr, qnr, uqi
from shards.sensors import find_sensor
from tests.support.paths import GOLDEN


@pytest.fixture
def golden(shared):
    """Arrays by name: of synthetic inputs from here, of crops of real scenes from ../shared."""

    def load(name):
        here = GOLDEN / f"{name}.npz"
        path = here if here.exists() else shared(f"reference/golden/{name}.npz")
        return np.load(path, allow_pickle=False)

    return load


def bands_first(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array if array.ndim == 2 else array.transpose(2, 0, 1).copy())


@pytest.mark.parametrize(
    ("name", "toolbox"),
    [("IKONOS", "IKONOS"), ("QuickBird", "QB"), ("WorldView-2", "WV2"), ("GeoEye-1", "GeoEye1")],
)
def test_kernels(golden, name, toolbox):
    """genMTF and MTF_PAN, every band, to the last digit."""
    kernels, sensor = golden("kernels"), find_sensor(name)

    for i, gain in enumerate(sensor.mtf_ms):
        expected = kernels[f"genMTF_{toolbox}"][..., i]
        np.testing.assert_allclose(mtf_kernel(gain, 4), expected, atol=1e-15)
    expected = kernels[f"MTFPAN_{toolbox}"]
    np.testing.assert_allclose(mtf_kernel(sensor.mtf_pan, 4), expected, atol=1e-15)


def test_ratio_two_kernel(golden):
    """Landsat's ratio."""
    expected = golden("kernels")["genMTF_none_r2"]

    np.testing.assert_allclose(mtf_kernel(0.30, 2), expected.squeeze(), atol=1e-15)


def test_resampling(golden):
    """23-tap interpolation, antialiased bicubic reduction, MTF filtering."""
    arrays = golden("resample")
    gains = find_sensor("IKONOS").mtf_ms

    for made, name in (
        (interp23(bands_first(arrays["in_r16"]), 4), "interp23_x4_2d"),
        (interp23(bands_first(arrays["in_r16"]), 2), "interp23_x2_2d"),
        (interp23(bands_first(arrays["in_r8b"]), 4), "interp23_x4_8b"),
        (imresize_bicubic(bands_first(arrays["in_pan64"]), 4), "imresize_bicubic_d4"),
        (mtf_filter(bands_first(arrays["in_crop64"])[None], gains, 4)[0], "mtf_ikonos_filtered"),
    ):
        expected = bands_first(arrays[name])
        np.testing.assert_allclose(made, expected, rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize(("case", "sensor"), [("a8", "WorldView-3"), ("a4", "IKONOS")])
def test_full_resolution_indices(golden, case, sensor):
    """D_lambda_K, D_lambda, D_s, QNR, HQNR as the toolbox gives them."""
    arrays, mtf = golden("indices_full"), find_sensor(sensor).mtf_ms
    ms, pan, fused = (bands_first(arrays[f"in_{n}_{case}"]) for n in ("lr", "pan", "fused"))
    pan = pan[None]

    for value, name in (
        (d_lambda_k(fused, ms, mtf=mtf), "Dlk"),
        (d_lambda(fused, ms), "Dl"),
        (d_s(fused, ms, pan), "Ds"),
        (qnr(fused, ms, pan), "QNR"),
        (hqnr(fused, ms, pan, mtf=mtf), "HQNR"),
    ):
        assert float(arrays[f"{name}_{case}"]) == pytest.approx(float(value), rel=1e-9), name


@pytest.mark.parametrize("case", ["a8", "a4", "a3", "c4", "n4", "z8"])
def test_sliding_uqi(golden, case):
    """Q_avg, flat and zero blocks included."""
    arrays = golden("indices_reduced")
    gt, fused = (bands_first(arrays[f"{name}_{case}"]) for name in ("ref", "fus"))

    assert float(arrays[f"Q_{case}"]) == pytest.approx(float(uqi(gt, fused)), rel=1e-9)


def test_the_interpolation_keeps_its_samples():
    """At 4i + 2, whatever the image."""
    image = torch.rand(3, 9, 7, dtype=torch.float64)

    torch.testing.assert_close(image, interp23(image, 4)[:, 2::4, 2::4], rtol=1e-9, atol=1e-9)


def test_a_filter_meets_its_gain_off_the_nyquist():
    """The toolbox's nominal gain is met at 5/41 of a cycle a pixel, not at 1/8: a known quirk."""
    kernel = mtf_kernel(0.30, 4).numpy()
    n = np.arange(41) - 20

    at = [float((kernel.sum(0) * np.cos(2 * np.pi * f * n)).sum()) for f in (5 / 41, 1 / 8)]

    assert [0.30, 0.282] == [pytest.approx(v, abs=2e-3) for v in at]


@pytest.mark.parametrize("convention", ["toolbox", "aligned"])
def test_a_perfect_guess_and_a_flat_one(convention):
    """What interpolates the MS keeps its spectra; a constant PAN distorts all detail."""
    rng = torch.Generator().manual_seed(0)
    ms = torch.rand(4, 16, 16, generator=rng, dtype=torch.float64) * 500 + 100
    pan = torch.rand(1, 64, 64, generator=rng, dtype=torch.float64) * 500 + 100
    options = {"convention": convention}

    from fusiontrain.imaging.filters import upsample

    up = interp23(ms, 4) if convention == "toolbox" else upsample(ms[None], 4)[0]
    assert 0 == pytest.approx(float(d_lambda(up, ms, **options)), abs=1e-12)
    assert 0 == float(d_lambda(up[:1], ms[:1], **options))
    assert 1 >= float(qnr(up, ms, pan, **options)) > 0
    mtf = (0.3,) * 4
    assert float(d_lambda_k(up, ms, mtf=mtf, **options)) < float(
        d_lambda_k(up.flip(0), ms, mtf=mtf, **options)
    )


def test_misfits_are_refused():
    """Sizes, blocks, ratios, gains."""
    ms, pan, fused = torch.ones(2, 8, 8), torch.ones(1, 32, 32), torch.ones(2, 32, 32)

    with pytest.raises(ShapeError, match="fused must be"):
        d_lambda(fused[:, :30], ms)
    with pytest.raises(ShapeError, match="PAN must be"):
        d_s(fused, ms, pan[:, :30])
    with pytest.raises(ShapeError, match="blocks of 32"):
        d_lambda(torch.ones(2, 36, 36), torch.ones(2, 9, 9))
    with pytest.raises(ShapeError, match="ratio 2, 4, 8"):
        interp23(ms, 3)
    with pytest.raises(ShapeError, match="a gain for each"):
        d_lambda_k(fused, ms, mtf=(0.3,))
    with pytest.raises(ShapeError, match="32 pixels a side"):
        uqi(ms, ms)
