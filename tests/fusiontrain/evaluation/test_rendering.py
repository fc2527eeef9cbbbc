"""Pictures for the page: where they are cut, and their colours."""

from io import BytesIO

import numpy as np
import torch
from PIL import Image

from fusiontrain.evaluation.colormap import ANCHORS, FULL_SCALE, colour_at
from fusiontrain.evaluation.rendering import colour_webp, error_webp, middle, stretch_of
from fusiontrain.imaging.tiling import Box


def lightness(colour):
    """CIE L* by its definition."""
    linear = [c / 3294.6 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return 116 * luminance ** (1 / 3) - 16 if luminance > 0.008856 else 903.3 * luminance


def test_the_ramp_is_ordered_to_the_eye():
    """Lightness rises at every step, by about the same."""
    steps = np.diff([lightness(colour_at(share)) for share in np.linspace(0, 1, 11)])

    assert steps.min() > 7
    assert steps.max() < 11
    assert colour_at(-1) == ANCHORS[0][1]
    assert colour_at(2) == ANCHORS[-1][1]


def test_pictures_of_a_scene_lie_on_each_other():
    """MS and PAN are cut to the same ground: the middle, in whole MS pixels."""
    box = middle((50, 30), side=90, ratio=4)
    ms = torch.arange(50 * 30.0).reshape(1, 50, 30).expand(3, -1, -1)
    pan = ms[:1].repeat_interleave(4, 1).repeat_interleave(4, 2)

    small = Image.open(BytesIO(colour_webp(ms, stretch_of(ms), box, quality=100)))
    large = Image.open(BytesIO(colour_webp(pan, stretch_of(pan), box.scaled(4), quality=100)))

    assert Box(top=14, left=4, bottom=36, right=26) == box
    assert ((22, 22), (88, 88)) == (small.size, large.size)
    shrunk = np.asarray(large.reduce(4), float).mean(-1)
    assert np.abs(shrunk - np.asarray(small, float).mean(-1)).max() < 8


def test_an_error_map_has_the_colours_of_its_scale():
    """An error of half full scale everywhere in the right half; none in the left."""
    truth = torch.randn(4, 64, 64, generator=torch.Generator().manual_seed(0))
    spread = truth.std((-2, -1), keepdim=True)
    fused = truth + 0.5 * FULL_SCALE * spread * (torch.arange(64) >= 32)
    box = Box(top=0, left=0, bottom=64, right=64)

    shown = np.asarray(Image.open(BytesIO(error_webp(truth, fused, box, quality=100))), float)

    np.testing.assert_allclose(shown[:, :24].mean((0, 1)), colour_at(0), atol=6)
    np.testing.assert_allclose(shown[:, 40:].mean((0, 1)), colour_at(0.5), atol=6)
