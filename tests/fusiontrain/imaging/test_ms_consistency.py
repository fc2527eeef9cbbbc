"""The consistency step: what it restores, what it leaves, and that it is local."""

import pytest
import torch

from fusiontrain.imaging.filters import degrade, upsample
from fusiontrain.imaging.ms_consistency import COLOURS, REACH, step_to_ms
from fusiontrain.imaging.pan_batch import PanBatch

RATIO = 4
pytestmark = pytest.mark.usefixtures("one_thread")


def _batch(ms: torch.Tensor, gain: float = 0.3) -> PanBatch:
    B, C, h, w = ms.shape
    return PanBatch(
        pan=torch.zeros(B, 1, RATIO * h, RATIO * w),
        ms=ms,
        mtf=torch.full((B, C), gain),
        softness=torch.full((B, C), 0.9),
        ratio=RATIO,
    )


def test_a_lost_colour_comes_back():
    """A constant offset of one band, at any scale over the smoothing, is restored entirely."""
    ms = torch.full((1, 3, 24, 24), 100.0)
    ms[:, 1] += torch.linspace(0, 50, 24)
    faded = torch.full((1, 3, 96, 96), 100.0)

    restored = step_to_ms(faded, _batch(ms), smoothing=COLOURS)

    again = degrade(restored, torch.full((1, 3), 0.3), RATIO)
    inner = slice(6, -6)
    torch.testing.assert_close(again[..., inner, inner], ms[..., inner, inner], atol=0.05, rtol=0)


def test_a_consistent_image_is_left_alone():
    fused = torch.rand(1, 4, 96, 96, generator=torch.Generator().manual_seed(0)) * 1000
    batch = _batch(degrade(fused, torch.full((1, 4), 0.3), RATIO))

    torch.testing.assert_close(
        step_to_ms(fused, batch, smoothing=COLOURS), fused, atol=1e-3, rtol=0
    )


def test_noise_of_the_ms_hardly_comes_back():
    """White noise through a Gaussian of spread s keeps a share 1 / (2 s sqrt(pi)) of its spread."""
    noise = torch.randn(1, 1, 128, 128, generator=torch.Generator().manual_seed(0))
    flat = torch.zeros(1, 1, 512, 512)

    added = step_to_ms(flat, _batch(noise), smoothing=COLOURS)

    expected = 1 / (2 * COLOURS * torch.pi**0.5)
    assert float(added.std()) == pytest.approx(expected, rel=0.05)
    assert float(upsample(noise, RATIO).std()) > 3 * expected


@pytest.mark.parametrize("gain", [0.02, 0.3])
def test_no_pixel_beyond_the_reach_counts(gain):
    """A point of the fused image or of the MS moves nothing further away by a thousandth."""
    fused, ms = torch.zeros(1, 1, 192, 192), torch.zeros(1, 1, 48, 48)
    fused[..., 96, 96] = 1.0
    ms[..., 24, 24] = 1.0

    for moved in (
        step_to_ms(fused, _batch(torch.zeros_like(ms), gain), smoothing=COLOURS),
        step_to_ms(torch.zeros_like(fused), _batch(ms, gain), smoothing=COLOURS),
    ):
        moved[..., 98 - REACH - 2 : 98 + REACH + 2, 98 - REACH - 2 : 98 + REACH + 2] = 0
        assert float(moved.abs().max()) < 1e-3
