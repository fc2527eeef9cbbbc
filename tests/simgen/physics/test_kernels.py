import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.signal import convolve2d
from scipy.special import j1

from simgen.errors import DegradationError
from simgen.physics.kernels import (
    blur_kernel,
    defocused,
    disk_psf,
    kernel_gain,
    resampled,
    resampling_taps,
    sharpened,
    stacked,
)
from simgen.physics.mtf import observe_kernels, response, tap_count

RATIOS = (2, 3, 4, 5, 6)


def noise(*shape):
    return np.random.default_rng(0).random(shape).astype(np.float32)


def plane(kernel):
    """A kernel as the image that a point would give."""
    return sum(np.outer(down, along) for down, along in kernel.astype(np.float64))


def spectrum(image, fy, fx):
    """Modulus of the two-dimensional Fourier transform at one frequency, cycles a pixel."""
    y, x = (np.arange(n) for n in image.shape)
    return abs(np.exp(-2j * np.pi * fy * y) @ image @ np.exp(-2j * np.pi * fx * x))


@given(st.floats(0.08, 0.9), st.sampled_from(RATIOS), st.floats(-0.3, 0.3), st.floats(-2, 2))
def test_gain_is_the_geometric_mean_of_the_axes(gain, step, stretch, shift):
    """Of the Fourier transform of the whole point spread, wherever it points."""
    count = tap_count(0.08**1.3, step, 2)
    kernel = blur_kernel(gain, step, count, stretch=stretch, shift=(shift, -shift / 2))
    psf, nyquist = plane(kernel), 1 / (2 * step)

    down, along = spectrum(psf, nyquist, 0), spectrum(psf, 0, nyquist)

    assert gain == pytest.approx(np.sqrt(down * along), abs=4e-3)
    assert gain ** (1 + stretch) == pytest.approx(down, abs=6e-3)
    assert kernel_gain(kernel, step) == pytest.approx(np.sqrt(down * along), abs=1e-6)


@given(st.floats(0.08, 0.9), st.integers(1, 6), st.floats(-2, 2), st.floats(-2, 2))
@settings(deadline=None, max_examples=50)
def test_a_shift_moves_a_ramp_by_itself(gain, step, down, along):
    """Sub-pixel: a plane's value at a pixel is where the pixel looks."""
    size = 40 * step
    y, x = np.mgrid[:size, :size].astype(np.float32)
    kernel = blur_kernel(gain, step, tap_count(0.08, step, 2), shift=(down, along))

    seen = observe_kernels((2 * y + x)[None], kernel[None], step=step)[0]

    centre = np.arange(40) * step + (step - 1) / 2
    expected = 2 * (centre[:, None] + down) + centre[None] + along
    # A narrow shifted kernel is Lanczos's: it moves a plane to within two hundredths of a pixel.
    np.testing.assert_allclose(seen[16:-16, 16:-16], expected[16:-16, 16:-16], atol=0.06)


@pytest.mark.parametrize("step", RATIOS)
@pytest.mark.parametrize(("how", "pillows"), [("area", "BOX"), ("bicubic", "BICUBIC")])
def test_resampling_alone_is_pillows(step, how, pillows):
    """Shrinking by averaging and by antialiased bicubic, away from the rim."""
    image = noise(20 * step, 30 * step)
    taps = resampling_taps(step, how)

    seen = observe_kernels(image[None], np.tile(taps, (1, 1, 2, 1)), step=step)[0]

    shrunk = Image.fromarray(image).resize((30, 20), getattr(Image.Resampling, pillows))
    np.testing.assert_allclose(np.asarray(shrunk)[3:-3, 3:-3], seen[3:-3, 3:-3], atol=2e-5)


@pytest.mark.parametrize("step", RATIOS)
@pytest.mark.parametrize("how", ["area", "bicubic"])
def test_resampling_keeps_the_gain_where_it_can(step, how):
    """What is averaged too is blurred less before; beyond its own gain, resampling stands alone."""
    own = response(resampling_taps(step, how), step)
    for gain in (0.15, 0.3, 0.45, 0.9):
        kernel = resampled(blur_kernel(gain, step, tap_count(0.1, step)), step, how)

        assert min(gain, own) == pytest.approx(kernel_gain(kernel, step), abs=4e-3)


def test_a_detectors_box_has_the_textbooks_gain():
    """A square pixel passes sinc(1/2) = 2/pi of its Nyquist (fine grids come near it)."""
    assert 2 / np.pi == pytest.approx(response(resampling_taps(64, "area"), 64), abs=1e-3)


@pytest.mark.parametrize("radius", [1.0, 1.6, 2.5, 4.0])
def test_a_disk_passes_what_optics_says(radius):
    """2 J1(x) / x, x = 2 pi f r: the transfer function of geometric defocus."""
    disk = disk_psf(radius)

    for f in (0.03, 0.06, 0.1):
        x = 2 * np.pi * f * radius
        # The pixels' own averaging is part of the sampled disk.
        assert 2 * j1(x) / x * np.sinc(f) == pytest.approx(spectrum(disk, 0, f), abs=0.015)
    assert np.pi * radius**2 == pytest.approx(1 / disk.max(), rel=0.02)


@pytest.mark.parametrize("radius", [1.0, 1.8, 3.0])
def test_defocus_is_a_convolution_with_the_disk(radius):
    """Three separable terms against scipy's dense convolution."""
    kernel = blur_kernel(0.5, 2, 12)

    expected = convolve2d(plane(kernel), disk_psf(radius))

    seen = plane(defocused(kernel, radius))
    assert 1 == pytest.approx(seen.sum(), abs=1e-6)
    np.testing.assert_allclose(expected, seen, atol=0.03 * expected.max())


@pytest.mark.parametrize("step", [2, 3, 4])
def test_sharpening_follows_the_sampling(step):
    """In one kernel, or on the finished image with scipy: the same."""
    image, kernel = noise(1, 40 * step, 40 * step), blur_kernel(0.3, step, tap_count(0.2, step))

    seen = observe_kernels(image, sharpened(kernel, 0.08, step)[None], step=step)[0]

    plain = observe_kernels(image, kernel[None], step=step)[0].astype(np.float64)
    taps = np.array([-0.08, 1.16, -0.08])
    expected = convolve2d(convolve2d(plain, taps[None], "valid"), taps[:, None], "valid")
    np.testing.assert_allclose(expected, seen[1:-1, 1:-1], atol=1e-5)


def test_a_halo_overshoots_an_edge_and_defocus_does_not():
    """Rims, bright and dark, of a tenth of the step and what Lanczos's own add."""
    edge = np.zeros((1, 64, 64), np.float32)
    edge[:, :, 32:] = 1
    kernel = blur_kernel(0.9, 2, 12)

    rims = [observe_kernels(edge, k[None], step=2)[0, 16] for k in
            (sharpened(kernel, 0.1, 2), defocused(kernel, 2.0))]  # fmt: skip

    assert 1.05 < rims[0].max() < 1.2
    assert -0.2 < rims[0].min() < -0.05
    assert rims[1].max() < 1.03


def test_stacking_changes_no_kernel():
    """Zeros around."""
    kernels = [blur_kernel(0.3, 2, 12), defocused(blur_kernel(0.5, 2, 10), 2.0)]

    for kernel, row in zip(kernels, stacked(kernels), strict=True):
        assert kernel_gain(kernel, 2) == pytest.approx(kernel_gain(row, 2), abs=1e-7)


def test_a_disk_needs_a_radius():
    """Nothing covered is nothing seen."""
    with pytest.raises(DegradationError, match="radius"):
        disk_psf(0.0)
