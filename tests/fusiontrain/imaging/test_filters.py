import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d

from fusiontrain.imaging.filters import (
    blur,
    correlate,
    degrade,
    gain_to_sigma,
    gaussian_taps,
    reduce_pan,
    sigma_to_gain,
    upsample,
)


def test_sigmas_of_published_gains():
    """QuickBird 1.87 to 2.22 PAN pixels, GeoEye-1 2.18: (ratio / pi) sqrt(-2 ln G)."""
    sigmas = gain_to_sigma(torch.tensor([0.34, 0.22, 0.23]), 4)

    np.testing.assert_allclose(sigmas, [1.87, 2.22, 2.18], atol=0.005)


@given(st.floats(0.03, 0.97), st.integers(1, 8))
def test_gain_and_sigma_are_inverse(gain, ratio):
    """There and back."""
    there = gain_to_sigma(torch.tensor(gain, dtype=torch.float64), ratio)

    assert gain == pytest.approx(float(sigma_to_gain(there, ratio)), rel=1e-9)


@settings(deadline=None)
@given(st.lists(st.floats(0.05, 4), min_size=4, max_size=4), st.integers(0, 2**32 - 1))
@example([0.05, 0.81, 1.0, 3.0], 0)  # four sigma in fewer than five pixels
def test_blur_is_scipys(sigmas, seed):
    """Each channel by its own sigma, mirrored border; reach: four sigma, at least five pixels."""
    image = np.random.default_rng(seed).random((2, 2, 24, 31))
    sigma = np.reshape(sigmas, (2, 2))

    seen = blur(torch.from_numpy(image), torch.from_numpy(sigma))

    for at in np.ndindex(2, 2):
        reach = {"mode": "reflect", "radius": max(5, int(np.ceil(4 * sigma[at])))}
        rows = gaussian_filter1d(image[at], sigma[at], 0, **reach)
        expected = gaussian_filter1d(rows, sigma[at], 1, **reach)
        np.testing.assert_allclose(seen[at], expected, rtol=0, atol=1e-12)
    # float32 goes another way, by torch's convolution.
    plain = blur(torch.from_numpy(image).float(), torch.from_numpy(sigma).float())
    np.testing.assert_allclose(plain, seen, rtol=0, atol=1e-5)


@pytest.mark.parametrize("softness", [0.3, 0.41, 0.54, 0.9])
def test_no_tap_or_product_of_taps_is_denormal(softness):
    """Denormal numbers made a window's blur five times slower."""
    taps = gaussian_taps(gain_to_sigma(torch.tensor([softness]), 1), 1)

    products = (taps.mT @ taps).flatten()

    assert float(products[products > 0].min()) > 1e-30
    assert float(taps.sum()) == pytest.approx(1, abs=1e-6)


@settings(deadline=None)
@given(st.integers(2, 6), st.integers(1, 4), st.integers(2, 9))
def test_degrading_keeps_flat_and_phase(ratio, bands, side):
    """A flat image stays flat; a ramp stays where it was, away from the border."""
    size = ratio * side * 3
    ramp = torch.arange(size, dtype=torch.float64).expand(1, bands, size, size)
    mtf = torch.full((1, bands), 0.4, dtype=torch.float64)

    flat = degrade(torch.ones_like(ramp), mtf, ratio)
    seen = degrade(ramp, mtf, ratio)

    np.testing.assert_allclose(flat, 1, atol=1e-9)
    centre = torch.arange(3 * side, dtype=torch.float64) * ratio + (ratio - 1) / 2
    inner = slice(side, -side)
    np.testing.assert_allclose(seen[0, 0, 0, inner], centre[inner], atol=0.05)


@pytest.mark.parametrize("ratio", [2, 3, 4, 5])
def test_interpolation_and_reduction_share_the_phase(ratio):
    """Both are area-aligned: a ramp goes up and down to where it was."""
    ramp = torch.arange(30.0).expand(1, 1, 30, 30)

    up = upsample(ramp, ratio)

    fine = (torch.arange(30 * ratio) - (ratio - 1) / 2) / ratio
    inner = slice(4 * ratio, -4 * ratio)
    np.testing.assert_allclose(up[0, 0, 0, inner], fine[inner], atol=1e-4)
    np.testing.assert_allclose(reduce_pan(up, ratio)[0, 0, 5, 5:-5], ramp[0, 0, 5, 5:-5], atol=1e-2)


def test_a_blur_wider_than_the_image_is_still_a_blur():
    """Tiny windows must not break off."""
    image = torch.rand(1, 1, 3, 5)

    seen = blur(image, torch.tensor([[4.0]]))

    assert (1, 1, 3, 5) == seen.shape
    assert float(image.min()) <= float(seen.min()) <= float(seen.max()) <= float(image.max())


@pytest.mark.parametrize("phase", ["aligned", "toolbox"])
@pytest.mark.parametrize(("h", "w", "ratio"), [(48, 61, 4), (9, 16, 2), (17, 5, 3), (3, 70, 8)])
def test_interpolation_by_products_is_the_convolution(h, w, ratio, phase):
    """float32 on the CPU goes another way than float64; the pixels and gradients are the same."""
    rng = torch.Generator().manual_seed(4)
    image = (torch.rand(2, 3, h, w, generator=rng) * 2000).requires_grad_()
    exact = image.detach().double().requires_grad_()
    weight = torch.rand(2, 3, h * ratio, w * ratio, generator=rng)

    seen, expected = upsample(image, ratio, phase), upsample(exact, ratio, phase)
    (seen * weight).sum().backward()
    (expected * weight.double()).sum().backward()

    assert seen.is_contiguous()
    torch.testing.assert_close(seen.double(), expected, rtol=0, atol=2e-3)
    torch.testing.assert_close(image.grad.double(), exact.grad, rtol=0, atol=1e-3)


@pytest.mark.parametrize("axis", [-2, -1])
@pytest.mark.parametrize(("size", "taps"), [(13, 13), (16, 4), (50, 13), (33, 1)])
def test_correlation_by_products_is_numpys(axis, size, taps):
    """Sizes of less than a piece, of whole pieces and of more."""
    rng = np.random.default_rng(size)
    weights = rng.normal(size=taps)
    image = rng.normal(size=(2, size, 5) if axis == -2 else (2, 5, size))

    seen = correlate(torch.from_numpy(image), torch.from_numpy(weights), axis)

    expected = np.apply_along_axis(np.correlate, axis, image, weights, "valid")
    np.testing.assert_allclose(seen.numpy(), expected, rtol=0, atol=1e-12)
