import numpy as np
import pytest
from nvidia.dali import fn, pipeline_def, types
from PIL import Image, ImageEnhance
from scipy.ndimage import convolve

from simgen.errors import DegradationError
from simgen.physics.photograph import colour_jitter, high_pass, jitter_matrix, to_light

NEUTRAL = {"brightness": 1.0, "contrast": 1.0, "saturation": 1.0, "hue": 0.0}


def photograph():
    return np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def jittered(image, **changes):
    seen = colour_jitter(image.astype(np.float32) / 255, *jitter_matrix(**{**NEUTRAL, **changes}))
    return np.rint(seen * 255)


@pytest.mark.parametrize(
    "changes",
    [
        {"brightness": 1.4},
        {"contrast": 0.6},
        {"saturation": 1.7},
        {"hue": 40.0},
        {"brightness": 0.7, "contrast": 1.3, "saturation": 0.5, "hue": -75.0},
    ],
    ids=str,
)
def test_jitter_is_dalis_colour_twist(changes):
    """The same order and the same axes, to a rounding."""
    image = photograph()

    @pipeline_def(batch_size=1, num_threads=1, device_id=None)
    def graph():
        data = fn.external_source(source=lambda: [image], dtype=types.UINT8, layout="HWC")
        return fn.color_twist(data, **changes)

    pipe = graph()
    pipe.build()
    expected = np.array(pipe.run()[0].at(0)).astype(float)

    difference = np.abs(expected - jittered(image, **changes))
    assert difference.max() <= 2
    assert difference.mean() < 0.3


def test_brightness_and_saturation_are_pillows():
    """ImageEnhance, whose grey is ITU-R 601's too."""
    image = photograph()
    pillows = Image.fromarray(image)

    brighter = np.asarray(ImageEnhance.Brightness(pillows).enhance(1.3), float)
    duller = np.asarray(ImageEnhance.Color(pillows).enhance(0.4), float)

    assert np.abs(brighter - jittered(image, brightness=1.3)).max() <= 1
    assert np.abs(duller - jittered(image, saturation=0.4)).max() <= 2


def test_grey_has_no_hue():
    """Turning the colours leaves grey, and a full turn leaves everything."""
    grey = np.repeat(np.linspace(0, 1, 50, dtype=np.float32)[:, None, None], 3, axis=2)

    np.testing.assert_allclose(
        colour_jitter(grey, *jitter_matrix(**{**NEUTRAL, "hue": 77.0})), grey, atol=1e-2
    )
    image = photograph()
    np.testing.assert_array_equal(jittered(image, hue=360.0), image)


def test_colour_is_for_rgb():
    """DALI's operators would corrupt other counts silently; ours says no."""
    with pytest.raises(DegradationError, match="4 channels"):
        colour_jitter(np.zeros((4, 4, 4), np.float32), *jitter_matrix(**NEUTRAL))


def test_high_pass_is_scipys_convolution():
    """Identity and a share of what the binomial mean takes away."""
    image = np.random.default_rng(1).random((12, 15, 3)).astype(np.float32) * 0.4 + 0.3
    kernel = np.array([[-1, -2, -1], [-2, 12, -2], [-1, -2, -1]]) / 16

    expected = image + 0.7 * np.stack(
        [convolve(image[..., c].astype(float), kernel, mode="nearest") for c in range(3)], -1
    )

    np.testing.assert_allclose(high_pass(image, 0.7), np.clip(expected, 0, 1), atol=1e-6)


def test_middle_grey_is_eighteen_percent():
    """sRGB 119 of 255 reflects 18 %: gamma 2.2 comes within a percent of full scale."""
    assert 0.18 == pytest.approx(to_light(np.float32(119 / 255), 2.2), abs=0.01)
