"""CIEDE2000 against the paper's pairs, and against scikit-image."""

import numpy as np
import pytest
import torch

from fusiontrain.errors import ShapeError
from fusiontrain.metrics import delta_e
from fusiontrain.metrics.colour_difference import ciede2000, srgb_to_lab

# Sharma, Wu and Dalal 2005, table 1: L*, a*, b* of two colours, and their difference.
PAIRS = [
    (50.0000, 2.6772, -79.7751, 50.0000, 0.0000, -82.7485, 2.0425),
    (50.0000, 3.1571, -77.2803, 50.0000, 0.0000, -82.7485, 2.8615),
    (50.0000, 2.8361, -74.0200, 50.0000, 0.0000, -82.7485, 3.4412),
    (50.0000, -1.3802, -84.2814, 50.0000, 0.0000, -82.7485, 1.0000),
    (50.0000, -1.1848, -84.8006, 50.0000, 0.0000, -82.7485, 1.0000),
    (50.0000, -0.9009, -85.5211, 50.0000, 0.0000, -82.7485, 1.0000),
    (50.0000, 0.0000, 0.0000, 50.0000, -1.0000, 2.0000, 2.3669),
    (50.0000, -1.0000, 2.0000, 50.0000, 0.0000, 0.0000, 2.3669),
    (50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0009, 7.1792),
    (50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0010, 7.1792),
    (50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0011, 7.2195),
    (50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0012, 7.2195),
    (50.0000, -0.0010, 2.4900, 50.0000, 0.0009, -2.4900, 4.8045),
    (50.0000, -0.0010, 2.4900, 50.0000, 0.0010, -2.4900, 4.8045),
    (50.0000, -0.0010, 2.4900, 50.0000, 0.0011, -2.4900, 4.7461),
    (50.0000, 2.5000, 0.0000, 50.0000, 0.0000, -2.5000, 4.3065),
    (50.0000, 2.5000, 0.0000, 73.0000, 25.0000, -18.0000, 27.1492),
    (50.0000, 2.5000, 0.0000, 61.0000, -5.0000, 29.0000, 22.8977),
    (50.0000, 2.5000, 0.0000, 56.0000, -27.0000, -3.0000, 31.9030),
    (50.0000, 2.5000, 0.0000, 58.0000, 24.0000, 15.0000, 19.4535),
    (50.0000, 2.5000, 0.0000, 50.0000, 3.1736, 0.5854, 1.0000),
    (50.0000, 2.5000, 0.0000, 50.0000, 3.2972, 0.0000, 1.0000),
    (50.0000, 2.5000, 0.0000, 50.0000, 1.8634, 0.5757, 1.0000),
    (50.0000, 2.5000, 0.0000, 50.0000, 3.2592, 0.3350, 1.0000),
    (60.2574, -34.0099, 36.2677, 60.4626, -34.1751, 39.4387, 1.2644),
    (63.0109, -31.0961, -5.8663, 62.8187, -29.7946, -4.0864, 1.2630),
    (61.2901, 3.7196, -5.3901, 61.4292, 2.2480, -4.9620, 1.8731),
    (35.0831, -44.1164, 3.7933, 35.0232, -40.0716, 1.5901, 1.8645),
    (22.7233, 20.0904, -46.6940, 23.0331, 14.9730, -42.5619, 2.0373),
    (36.4612, 47.8580, 18.3852, 36.2715, 50.5065, 21.2231, 1.4146),
    (90.8027, -2.0831, 1.4410, 91.1528, -1.6435, 0.0447, 1.4441),
    (90.9257, -0.5406, -0.9208, 88.6381, -0.8985, -0.7239, 1.5381),
    (6.7747, -0.2908, -2.4247, 5.8714, -0.0985, -2.2286, 0.6377),
    (2.0776, 0.0795, -1.1350, 0.9033, -0.0636, -0.5514, 0.9082),
]


def test_the_papers_pairs():
    """To the four decimals that are printed, in both directions."""
    table = torch.tensor(PAIRS, dtype=torch.float64)
    first, second, expected = table[:, :3], table[:, 3:6], table[:, 6]

    torch.testing.assert_close(expected, ciede2000(first, second), atol=6e-5, rtol=0)
    torch.testing.assert_close(expected, ciede2000(second, first), atol=6e-5, rtol=0)


def test_known_colours_in_lab():
    """White, black, middle grey and red of sRGB, as published (D65)."""
    rgb = torch.tensor([[1.0, 1, 1], [0, 0, 0], [128 / 255] * 3, [1, 0, 0]], dtype=torch.float64)
    expected = torch.tensor(
        [[100, 0, 0], [0, 0, 0], [53.585, 0, 0], [53.24, 80.09, 67.20]], dtype=torch.float64
    )

    torch.testing.assert_close(expected, srgb_to_lab(rgb), atol=0.02, rtol=0)


def test_images_as_scikit_image_has_them():
    colour = pytest.importorskip("skimage.color")
    rng = np.random.default_rng(0)
    first = rng.random((3, 20, 24))
    second = np.clip(first + rng.normal(0, 0.1, first.shape), 0, 1)
    labs = [colour.rgb2lab(image, channel_axis=0) for image in (first, second)]
    map_HW = colour.deltaE_ciede2000(*labs, channel_axis=0)
    valid = np.zeros((20, 24), bool)
    valid[:7, 3:] = True

    assert float(delta_e(first, second)) == pytest.approx(map_HW.mean(), rel=1e-3)
    assert float(delta_e(first, second, valid=torch.from_numpy(valid))) == pytest.approx(
        map_HW[valid].mean(), rel=1e-3
    )
    assert float(delta_e(first, first)) == 0


def test_other_than_three_bands_are_refused():
    with pytest.raises(ShapeError, match="needs red, green and blue"):
        delta_e(torch.rand(4, 8, 8), torch.rand(4, 8, 8))
