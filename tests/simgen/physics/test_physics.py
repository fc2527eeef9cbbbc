import numpy as np
from scipy.interpolate import RegularGridInterpolator

from simgen.physics.geometry import mirror_extend, place
from simgen.physics.noise import add_noise
from simgen.physics.radiometry import quantise
from simgen.physics.spectral import mix, smooth_texture


def test_mixing_is_a_sum_over_bands():
    """Against the loop anyone would write; what is negative becomes zero."""
    image = np.random.default_rng(0).random((3, 4, 5)).astype(np.float32)
    rows = np.array([[1, 0, 0], [0.2, 0.3, 0.5], [-1, 0.5, -1]], np.float32)
    offset = np.array([0, 0.1, 0], np.float32)

    seen = mix(image, rows, offset)

    for d in range(3):
        for y in range(4):
            for x in range(5):
                value = sum(rows[d, c] * image[c, y, x] for c in range(3)) + offset[d]
                assert abs(max(value, 0) - seen[d, y, x]) < 1e-6


def test_texture_is_linear_interpolation_of_its_nodes():
    """Against scipy's."""
    nodes = np.random.default_rng(0).standard_normal((5, 5))
    at = np.linspace(0, 4, 33)
    grid = np.stack(np.meshgrid(at, at, indexing="ij"), -1)

    expected = RegularGridInterpolator((np.arange(5), np.arange(5)), nodes)(grid)

    np.testing.assert_allclose(smooth_texture(nodes, 33), expected, atol=1e-6)


def test_noise_has_the_variance_of_read_and_shot():
    """Variance grows linearly with the signal: read^2 + shot * signal."""
    rng = np.random.default_rng(0)
    for signal in (0.0, 0.2, 0.8):
        flat = np.full((400, 400), signal, np.float32)
        seen = add_noise(flat, rng.standard_normal(flat.shape), read=0.01, shot=0.0005)

        assert abs(np.var(seen) / (1e-4 + 0.0005 * signal) - 1) < 0.03
        assert abs(np.mean(seen) - signal) < 1e-3


def test_quantising_saturates_and_rounds():
    """1.0 is full scale; nothing wraps."""
    seen = quantise(np.array([-0.1, 0.0, 0.5, 1.0, 7.0]), 11)

    np.testing.assert_array_equal(seen, [0, 0, 1024, 2047, 2047])
    assert np.uint16 == seen.dtype


def test_a_mirrored_photograph_has_no_seam():
    """Neighbours across the mirror line are the same pixel."""
    image = np.random.default_rng(0).random((6, 7, 3))

    wide = mirror_extend(image)

    assert (12, 14, 3) == wide.shape
    np.testing.assert_array_equal(wide[:6, :7], image)
    np.testing.assert_array_equal(wide[5], wide[6])
    np.testing.assert_array_equal(wide[:, 6], wide[:, 7])


def test_placing_cuts_and_flips():
    """The corner is a row and a column of the extended image."""
    image = np.arange(16.0).reshape(4, 4, 1)

    np.testing.assert_array_equal(
        place(image, (1, 0), 4, (False, True))[..., 0], mirror_extend(image)[1:5, 3::-1, 0]
    )
