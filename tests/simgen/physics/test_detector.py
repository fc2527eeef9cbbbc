import io

import numpy as np
import pytest
from PIL import Image
from scipy.fft import dctn, idctn
from scipy.ndimage import convolve1d

from simgen.config import Recipe
from simgen.effects import RadiometryRanges, SpectralRanges
from simgen.physics.noise import correlated, grained, striped
from simgen.physics.radiometry import compressed, dct_matrix
from simgen.recipes import find_recipe
from simgen.sampling import draw_noise, sample_parameters
from simgen.simulate import numpy_engine


def white(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_common_noise_correlates_the_bands(share):
    """Correlation between any two bands is the share; the variance stays one."""
    seen = correlated(white(4, 200, 200), white(5, 200, 200)[4:], share).reshape(4, -1)

    matrix = np.corrcoef(seen)
    np.testing.assert_allclose(matrix[~np.eye(4, dtype=bool)], share, atol=0.02)
    np.testing.assert_allclose(seen.var(1), 1, atol=0.03)


@pytest.mark.parametrize("weight", [0.1, 0.3])
def test_grain_correlates_neighbours(weight):
    """scipy's convolution; neighbours 2a / (1 + 2a^2), next ones a^2 / (1 + 2a^2)."""
    noise = white(1, 300, 300)

    seen = grained(noise, weight)

    taps = np.array([weight, 1, weight]) / np.sqrt(1 + 2 * weight**2)
    expected = noise[0].astype(float)
    for axis in (0, 1):
        expected = convolve1d(expected, taps, axis, mode="wrap")
    np.testing.assert_allclose(seen[0], expected, atol=1e-5)
    for step, theory in ((1, 2 * weight), (2, weight**2)):
        found = np.mean(seen * np.roll(seen, step, 2))
        assert theory / (1 + 2 * weight**2) == pytest.approx(found, abs=0.02)


def test_stripes_are_one_detectors():
    """Constant down a column; gains act on light, offsets without it."""
    gain, offset = white(2, 2, 50) * 0.01
    image = np.stack([np.zeros((40, 50)), np.full((40, 50), 0.5)]).astype(np.float32)

    seen = striped(image, gain, offset)

    assert 0 == np.ptp(seen, axis=1).max()
    np.testing.assert_allclose(seen[0, 0], offset[0], atol=1e-7)
    np.testing.assert_allclose(seen[1, 0] - offset[1], 0.5 * (1 + gain[1]), atol=1e-6)


def test_the_cosines_are_scipys():
    """Orthonormal DCT-II."""
    block = white(8, 8)

    np.testing.assert_allclose(
        dct_matrix() @ block @ dct_matrix().T, dctn(block, norm="ortho"), atol=1e-5
    )


def as_jpeg(image, step):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", qtables=[[step] * 64])
    return np.asarray(Image.open(file))


def coefficients(image, step):
    """scipy's, block by block, in quantisation steps."""
    height, width = image.shape
    blocks = image.reshape(height // 8, 8, width // 8, 8).transpose(0, 2, 1, 3) - 128.0
    return dctn(blocks, axes=(2, 3), norm="ortho") / step


@pytest.mark.parametrize("step", [6, 20])
def test_compression_is_pillows_jpeg(step):
    """A grey JPEG whose table holds one step: every coefficient that is not half-way between two.

    Half-way, libjpeg's integer arithmetic decides: within .03 of a step.
    """
    image = np.clip(white(128, 128).cumsum(1) * 4 + white(128, 128) * 8 + 120, 0, 255)
    image = image.astype(np.uint8)

    seen = compressed(image[None].astype(np.uint16), step, 8)[0]

    exact = coefficients(image, step)
    ours, pillows = (np.rint(coefficients(j, step)) for j in (seen, as_jpeg(image, step)))
    inside = (np.abs(exact - np.floor(exact) - 0.5) > 0.03) & ~_saturated(seen)
    assert inside.mean() > 0.8
    np.testing.assert_array_equal(ours[inside], pillows[inside])


def _saturated(image):
    """Blocks whose pixels were cut at 0 or 255, so that their coefficients are no longer whole."""
    blocks = image.reshape(16, 8, 16, 8).transpose(0, 2, 1, 3)
    return ((blocks.max((2, 3)) == 255) | (blocks.min((2, 3)) == 0))[..., None, None]


def test_a_rim_that_eight_does_not_divide_is_pillows_too():
    """Sides are extended by their edge: within a DN where no coefficient was half-way."""
    image = np.clip(white(43, 58) * 8 + 120, 0, 255).astype(np.uint8)

    seen = compressed(image[None].astype(np.uint16), 20.0, 8)[0]

    difference = np.abs(as_jpeg(image, 20).astype(int) - seen.astype(int))
    assert np.median(difference) == 0
    assert (difference[:, 56:] <= 1).mean() > 0.6


@pytest.mark.parametrize("bits", [10, 12])
def test_deep_numbers_are_compressed_alike(bits):
    """Block by block with scipy; nothing beyond the bits."""
    numbers = np.random.default_rng(2).integers(0, 2**bits, (2, 16, 24)).astype(np.uint16)

    seen = compressed(numbers, 30.0, bits)

    level = 2 ** (bits - 1)
    for c in range(2):
        for y in range(0, 16, 8):
            for x in range(0, 24, 8):
                block = numbers[c, y : y + 8, x : x + 8].astype(float) - level
                kept = np.rint(dctn(block, norm="ortho") / 30) * 30
                back = np.clip(np.rint(idctn(kept, norm="ortho") + level), 0, 2**bits - 1)
                assert np.abs(back - seen[c, y : y + 8, x : x + 8]).max() <= 1


def test_a_fine_step_compresses_nothing():
    """Rounding errors of all 64 coefficients together stay under one DN."""
    numbers = np.random.default_rng(3).integers(0, 2048, (1, 32, 32)).astype(np.uint16)

    difference = compressed(numbers, 1.0, 11).astype(int) - numbers

    assert np.abs(difference).max() <= 2
    assert difference.std() < 0.6


def test_bits_and_noise_of_sensor():
    """8, 10, 11 and 12 bits are all drawn; PAN's noise is not the MS's."""
    draws = [
        sample_parameters(find_recipe("sensor"), bands=4, seed=0, key=str(k), height=300, width=300)
        for k in range(60)
    ]

    assert {8, 10, 11, 12} == {d.bits for d in draws}
    assert 0.03 < np.mean([d.compression > 0 for d in draws]) < 0.4
    noise = draw_noise(draws[0], tile=64, ratio=4)
    assert (
        abs(np.corrcoef(noise.normal_pan[0, :16, :16].ravel(), noise.normal_ms[0].ravel())[0, 1])
        < 0.2
    )


@pytest.mark.parametrize("bits", [8, 10, 11, 12])
def test_highlights_saturate_where_the_bits_end(bits):
    """White, twice exposed, is the highest number and no higher; a fifth of it is in proportion."""
    recipe = Recipe(
        name="x",
        tile=64,
        spectral=SpectralRanges(
            keep_rgb=1.0,
            pan_unexplained_chance=0.0,
        ),
        radiometry=RadiometryRanges(
            exposure_chance=1.0,
            exposure=(2.0, 2.0),
            bits=(bits,),
        ),
    )
    draw = sample_parameters(recipe, bands=3, seed=0, key="a", height=300, width=300)

    for level in (255, 51):
        gt, ms, pan = numpy_engine.make(np.full((128, 128, 3), level, np.uint8), draw, recipe)
        for image in (gt, ms, pan):
            expected = min(2 * level / 255, 1) * (2**bits - 1)
            assert np.abs(image - expected).max() <= 1
