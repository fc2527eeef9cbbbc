import pytest
import torch

from fusiontrain.fusion.level_down import _fullest_part, gains_down
from fusiontrain.imaging.filters import gain_to_sigma


@pytest.mark.parametrize("ratio", [2, 3, 6])
def test_a_level_down_blurs_relate_as_they_do_here(ratio):
    """Variances of Gaussians add: a level down each image has its own blur, in its own pixels."""
    guide_gain, mtf = 0.26, torch.tensor([0.3, 0.5])

    def variance(gain, pixels):
        """Of a Gaussian with this gain at the Nyquist of pixels of so many guide pixels."""
        return pixels**2 * gain_to_sigma(torch.as_tensor(gain), 1) ** 2

    guides = variance(guide_gain, 1)
    bands = guides + variance(mtf, ratio)  # variances add
    of_guides, of_ms = gains_down(mtf, guide_gain, ratio)
    torch.testing.assert_close(guides + variance(of_guides, ratio), guides * ratio**2)
    torch.testing.assert_close(bands + variance(of_ms, ratio**2), bands * ratio**2)


def test_the_part_with_most_data_is_found():
    valid = torch.zeros(64, 80, dtype=torch.bool)
    valid[40:56, 8:24] = True
    top, left = _fullest_part(valid, 16, 16)
    assert (top, left) == (40, 8)
