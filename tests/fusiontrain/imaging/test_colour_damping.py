"""Colours beyond the injection, damped where the MS is soft."""

from dataclasses import replace

import pytest
import torch

from fusiontrain.imaging.colour_damping import REACH, damp_colours, damped, darken_to_hue
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


def pixel(values: tuple[int, ...]) -> torch.Tensor:
    return torch.tensor([float(v) for v in values])[None, :, None, None]


def parts(batch: PanBatch) -> tuple[torch.Tensor, torch.Tensor]:
    """The injection, and the spread of each band."""
    images, statistics = injection_images(batch), batch.statistics
    gain, spread = (x[..., None, None].float() for x in (statistics.gain, statistics.ms_std))
    return images.up + gain * images.detail, spread


@pytest.mark.parametrize(("gain", "kept"), [(0.05, 0.5), (0.12, 0.5), (0.17, 0.75), (0.3, 1.0)])
def test_what_bands_share_stays_and_colour_is_kept_in_part(gain, kept):
    """By parts of which one is common to all bands, and the other sums to nothing over them."""
    batch = soft_batch(gain)
    far_below = torch.full((1, 3), -1e4)  # so that no pixel is far darker than its ground
    batch = replace(batch, statistics=replace(batch.statistics, dark=far_below))
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


@pytest.mark.parametrize(
    ("spot", "share", "expected"),
    [
        ((55, 30, 35), 1, (40, 30, 20)),  # a tenth as bright as its ground: the ground's hue
        ((40, 60, 20), 1, (40, 60, 20)),  # of the ground's hue already
        ((240, 160, 80), 1, (200, 160, 80)),  # four tenths as bright: half way to (160, 240, 80)
        ((240, 160, 80), 0.5, (220, 160, 80)),
        ((55, 30, 35), 0, (55, 30, 35)),
        ((400, 200, 200), 1, (400, 200, 200)),  # two thirds as bright
    ],
)
def test_a_dark_spot_takes_the_hue_of_its_ground(spot, share, expected):
    """Ground of 400 : 600 : 200 DN over a darkest ground of 50; all bands with the same spread."""
    fifty, spread = torch.full((1, 3, 1, 1), 50.0), torch.full((1, 3, 1, 1), 100.0)

    turned = darken_to_hue(
        pixel(spot) + 50,
        pixel((400, 600, 200)) + 50,
        fifty,
        spread,
        torch.full((1, 3, 1, 1), float(share)),
    )

    torch.testing.assert_close(turned, pixel(expected) + 50)


def test_ground_as_dark_as_the_darkest_divides_by_nothing():
    zero, spread = torch.zeros(1, 3, 8, 8), torch.full((1, 3, 1, 1), 100.0)
    turned = darken_to_hue(zero - 5, zero, zero[..., :1, :1], spread, spread / 100)
    assert torch.isfinite(turned).all()
    assert (turned <= -5).all()
