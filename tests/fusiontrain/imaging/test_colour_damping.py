"""Colours beyond the injection, damped where the MS is soft."""

from dataclasses import replace

import pytest
import torch

from fusiontrain.imaging.colour_damping import (
    REACH,
    bound_colours,
    damp_colours,
    damped,
    fade_colours,
    least_shares,
    raise_weak_bands,
)
from fusiontrain.imaging.injection import (
    injection_images,
    injection_moments,
    scene_part,
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


@pytest.mark.parametrize("kept", [0.5, 0.75, 1.0])
def test_what_bands_share_stays_and_colour_is_kept_in_part(kept):
    """By parts of which one is common to all bands, and the other sums to nothing over them."""
    injected, spread = parts(soft_batch(0.05))
    common = torch.rand(1, 1, 96, 96, generator=torch.Generator().manual_seed(3)).expand(
        1, 3, 96, 96
    )
    colour = common * torch.tensor([1.0, -3.0, 2.0])[:, None, None]
    share = torch.full((1, 3, 1, 1), kept)

    stays = fade_colours(injected + common * spread, injected, spread, share)
    fades = fade_colours(injected + colour * spread, injected, spread, share)

    torch.testing.assert_close(stays, injected + common * spread, atol=1e-2, rtol=0)
    torch.testing.assert_close(fades, injected + kept * colour * spread, atol=1e-2, rtol=0)


@pytest.mark.parametrize(
    ("gain", "soft"), [(0.05, True), (0.17, True), (0.22, False), (0.3, False)]
)
def test_only_a_soft_ms_is_damped(gain, soft):
    batch = soft_batch(gain)
    colour = torch.linspace(-50, 80, 96) * torch.tensor([1.0, -2, 1])[:, None, None]
    fused = parts(batch)[0] + colour
    whole = damp_colours(fused, scene_part(batch), batch.mtf)
    assert damped(batch) == soft
    assert (float((whole - fused).abs().max()) > 1) == soft


@pytest.mark.parametrize(("gain", "share"), [(0.05, 1), (0.12, 1), (0.17, 0.875), (0.3, 0.75)])
def test_a_sharp_ms_bounds_colours_in_part(gain, share):
    """Bands that fall from left to right are raised by a share of what a very soft MS raises."""
    batch, whole = soft_batch(gain), (slice(0, 96), slice(0, 96))
    part = scene_part(batch)
    fused = parts(batch)[0] - torch.linspace(0, 300, 96) * torch.tensor([0.0, 1, 0])[:, None, None]

    all_of_it = bound_colours(fused, part, torch.full((1, 3), 0.05), *whole) - fused
    bounded = bound_colours(fused, part, batch.mtf, *whole) - fused

    assert float(all_of_it.abs().max()) > 10
    torch.testing.assert_close(bounded, share * all_of_it, atol=1e-2, rtol=0)


@pytest.mark.parametrize("gain", [0.05, 0.12, 0.3])
def test_a_part_is_cut_from_the_whole(gain):
    """The injection of a part does not depend on what lies beyond the reach."""
    batch = soft_batch(gain, 48)
    fused = parts(batch)[0] + torch.linspace(-50, 80, 192)
    rows, columns = slice(64, 128), slice(72, 120)
    whole = finished(fused, batch, slice(0, 192), slice(0, 192))

    around, _, inner = cut_around(batch, rows, columns, reach=REACH)
    part = finished(fused[..., rows, columns], around, *inner)

    assert around.pan.shape[-1] < 192
    torch.testing.assert_close(part, whole[..., rows, columns], atol=1e-2, rtol=0)


def finished(fused: torch.Tensor, batch: PanBatch, rows: slice, columns: slice) -> torch.Tensor:
    around = scene_part(batch)
    damp = damp_colours(fused, around.crop(rows, columns), batch.mtf)
    return bound_colours(damp, around, batch.mtf, rows, columns)


FIFTY, HUNDRED = torch.full((1, 3, 1, 1), 50.0), torch.full((1, 3, 1, 1), 100.0)
GROUND, RED = (400, 600, 200), (550, 300, 350)  # DN over a darkest ground of 50


@pytest.mark.parametrize(
    ("spot", "share", "expected"),
    [
        ((55, 30, 35), 1, (45, 50, 25)),  # of 40 the second has 60 by the ground: 30 more, 10 less
        ((55, 30, 35), 0.5, (50, 40, 30)),
        ((55, 30, 35), 0, (55, 30, 35)),
        ((40, 60, 20), 1, (40, 60, 20)),  # of the ground's hue
        ((800, 1200, 400), 1, (800, 1200, 400)),
    ],
)
def test_a_band_is_raised_to_its_share_in_the_ground(spot, share, expected):
    """All bands with the same spread: the sum of a pixel's bands is kept."""
    least = least_shares(pixel(GROUND).expand(1, 3, 8, 8) / 100, 4)

    raised = raise_weak_bands(
        pixel(spot).expand(1, 3, 32, 32) + 50, least, FIFTY, HUNDRED, torch.full_like(FIFTY, share)
    )

    torch.testing.assert_close(raised, pixel(expected).expand(1, 3, 32, 32) + 50)


@pytest.mark.parametrize(("distance", "kept"), [(0, True), (1, True), (4, False)])
def test_a_colour_that_an_ms_pixel_around_has_is_kept(distance, kept):
    ms = pixel(GROUND).repeat(1, 1, 9, 9)
    ms[..., 4, 4 + distance] = pixel(RED)[..., 0, 0]
    fused = pixel(RED).expand(1, 3, 36, 36) + 50

    raised = raise_weak_bands(
        fused, least_shares(ms / 100, 4), FIFTY, HUNDRED, torch.ones_like(FIFTY)
    )

    middle = (..., slice(16, 20), slice(16, 20))
    assert torch.allclose(raised[middle], fused[middle]) == kept


def test_ground_as_dark_as_the_darkest_divides_by_nothing():
    zero = torch.zeros(1, 3, 8, 8)
    raised = raise_weak_bands(
        zero - 5, least_shares(zero[..., ::4, ::4], 4), zero[..., :1, :1], HUNDRED, HUNDRED / 100
    )
    torch.testing.assert_close(raised, zero - 5)
