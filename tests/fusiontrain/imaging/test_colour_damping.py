"""Colours beyond the injection, damped where the MS is soft."""

from dataclasses import replace

import pytest
import torch

from fusiontrain.imaging.colour_damping import REACH, damp_colours, damped
from fusiontrain.imaging.injection import (
    injection_images,
    injection_moments,
    statistics_from_moments,
)
from fusiontrain.imaging.ms_consistency import cut_around
from fusiontrain.imaging.pan_batch import PanBatch

pytestmark = pytest.mark.usefixtures("one_thread")


def soft_batch(gain: float, side: int = 24) -> PanBatch:
    rng = torch.Generator().manual_seed(2)
    batch = PanBatch(
        pan=torch.rand(1, 1, 4 * side, 4 * side, generator=rng) * 900 + 100,
        ms=torch.rand(1, 3, side, side, generator=rng) * 700 + 80,
        mtf=torch.full((1, 3), gain),
        softness=torch.full((1, 3), 0.9),
        ratio=4,
    )
    statistics = statistics_from_moments(injection_moments(injection_images(batch)))
    return replace(batch, statistics=statistics)


def parts(batch: PanBatch) -> tuple[torch.Tensor, torch.Tensor]:
    """The injection, and the spread of each band."""
    images, statistics = injection_images(batch), batch.statistics
    gain, spread = (x[..., None, None].float() for x in (statistics.gain, statistics.ms_std))
    return images.up + gain * images.detail, spread


@pytest.mark.parametrize(("gain", "kept"), [(0.05, 0.5), (0.12, 0.5), (0.17, 0.75), (0.3, 1.0)])
def test_what_bands_share_stays_and_colour_is_kept_in_part(gain, kept):
    """By parts of which one is common to all bands, and the other sums to nothing over them."""
    batch = soft_batch(gain)
    injected, spread = parts(batch)
    whole = slice(0, 96), slice(0, 96)
    common = torch.rand(1, 1, 96, 96, generator=torch.Generator().manual_seed(3)).expand(
        1, 3, 96, 96
    )
    colour = common * torch.tensor([1.0, -3.0, 2.0])[:, None, None]

    stays = damp_colours(injected + common * spread, batch, *whole)
    fades = damp_colours(injected + colour * spread, batch, *whole)

    torch.testing.assert_close(stays, injected + common * spread, atol=1e-2, rtol=0)
    torch.testing.assert_close(fades, injected + kept * colour * spread, atol=1e-2, rtol=0)
    assert damped(batch) == (kept < 1)


@pytest.mark.parametrize("gain", [0.05, 0.12])
def test_a_part_is_cut_from_the_whole(gain):
    """The injection of a part does not depend on what lies beyond the reach."""
    batch = soft_batch(gain, 48)
    fused = parts(batch)[0] + torch.linspace(-50, 80, 192)
    rows, columns = slice(64, 128), slice(72, 120)
    whole = damp_colours(fused, batch, slice(0, 192), slice(0, 192))

    around, _, inner = cut_around(batch, rows, columns, reach=REACH)
    part = damp_colours(fused[..., rows, columns], around, *inner)

    assert around.pan.shape[-1] < 192
    torch.testing.assert_close(part, whole[..., rows, columns], atol=1e-2, rtol=0)
