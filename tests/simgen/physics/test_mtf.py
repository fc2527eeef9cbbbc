import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d

from simgen.errors import DegradationError
from simgen.physics.mtf import mtf_taps, observe, paper_taps, response, tap_count

# B, G, R, NIR: toolbox of Vivone et al. 2015, TGRS 53(5):2565-2586, genMTF.m
QUICKBIRD_MS = (0.34, 0.32, 0.30, 0.22)


def fourier(taps: np.ndarray, frequency: float) -> float:
    """Modulus of the discrete-time Fourier transform, cycles a pixel."""
    return abs(np.sum(taps * np.exp(-2j * np.pi * frequency * np.arange(taps.size))))


@pytest.mark.parametrize("gain", QUICKBIRD_MS)
@pytest.mark.parametrize("ratio", [2, 3, 4, 5])
def test_blur_passes_the_published_gain(gain, ratio):
    """The Fourier transform at the MS Nyquist is the sensor's MTF."""
    taps = mtf_taps(gain, ratio, tap_count(0.1, ratio))

    assert gain == pytest.approx(fourier(taps, 1 / (2 * ratio)), abs=2e-3)
    assert 1 == pytest.approx(fourier(taps, 0), abs=1e-6)


@given(st.floats(0.05, 0.95), st.integers(1, 6))
def test_response_is_the_fourier_transform(gain, step):
    """The facts' gain is what the taps do, measured another way, and what was asked."""
    taps = mtf_taps(gain, step, tap_count(0.05, step))

    assert fourier(taps, 1 / (2 * step)) == pytest.approx(response(taps, step), abs=1e-5)
    assert gain == pytest.approx(response(taps, step), abs=2e-3)


def test_the_papers_blur_passes_what_was_measured():
    """A 3x3 Gaussian of sigma 1.5 has gain .82 at 1/8 cycle a pixel; bicubic takes .97 of it."""
    gauss = np.exp(-0.5 * (np.arange(-1, 2) / 1.5) ** 2)

    assert pytest.approx(0.82, abs=0.005) == fourier(gauss / gauss.sum(), 1 / 8)
    assert 0.75 < fourier(paper_taps(), 1 / 8) < 0.85
    assert 6 == paper_taps().size


@pytest.mark.parametrize("ratio", [2, 3, 4])
def test_a_ramp_stays_where_it_was(ratio):
    """Blur and decimation must not move the scene: pixel i is centred on ratio*i + (ratio-1)/2."""
    side = 60 * ratio
    ramp = np.tile(np.arange(side, dtype=np.float32), (side, 1))[None]
    taps = mtf_taps(0.34, ratio, tap_count(0.3, ratio))[None]

    seen = observe(ramp, taps, step=ratio)

    expected = np.arange(60)[8:-8] * ratio + (ratio - 1) / 2
    np.testing.assert_allclose(seen[0, 5, 8:-8], expected, atol=2e-3)


def test_it_is_scipys_gaussian():
    """At odd ratios blur-and-pick equals scipy's filter at the same sigma and border."""
    image = np.random.default_rng(0).random((1, 45, 45)).astype(np.float32)
    sigma = 3 / np.pi * np.sqrt(-2 * np.log(0.3))
    count = tap_count(0.2, 3)

    seen = observe(image, mtf_taps(0.3, 3, count)[None], step=3)

    blurred = image[0].astype(np.float64)
    for axis in (0, 1):
        blurred = gaussian_filter1d(blurred, sigma, axis, mode="reflect", radius=count // 2)
    np.testing.assert_allclose(seen[0], blurred[1::3, 1::3], atol=1e-5)


def test_each_band_has_its_own_blur():
    """Bands do not leak into each other."""
    image = np.random.default_rng(0).random((2, 32, 32)).astype(np.float32)
    taps = np.stack([mtf_taps(g, 4, tap_count(0.1, 4)) for g in (0.2, 0.5)])

    both = observe(image, taps, step=4)

    np.testing.assert_array_equal(both[1:], observe(image[1:], taps[1:], step=4))


@pytest.mark.parametrize(
    ("shape", "taps_shape"), [((1, 30, 32), (1, 8)), ((2, 32, 32), (1, 8)), ((1, 32, 32), (1, 7))]
)
def test_misfits_are_refused(shape, taps_shape):
    """Sizes, band counts and parities."""
    with pytest.raises(DegradationError):
        observe(np.zeros(shape, np.float32), np.ones(taps_shape, np.float32), step=4)


@pytest.mark.parametrize("gain", [0.0, 1.0, -0.1])
def test_impossible_gains_are_refused(gain):
    """A gain of one is no blur, a gain of zero no sensor."""
    with pytest.raises(DegradationError):
        mtf_taps(gain, 4, 8)
