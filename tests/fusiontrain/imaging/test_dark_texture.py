"""PAN's texture in bands that are dark where PAN is not."""

from dataclasses import replace

import pytest
import torch

from fusiontrain.imaging.dark_texture import LEAST_GAIN, REACH, keep_dark_texture
from fusiontrain.imaging.injection import ScenePart, scene_part
from fusiontrain.imaging.ms_consistency import cut_around
from fusiontrain.imaging.pan_batch import PanBatch

pytestmark = pytest.mark.usefixtures("one_thread")

SIDE = 32  # MS pixels


def trees(ms: tuple[float, float]) -> ScenePart:
    """A scene of two bands around a mean of 100 DN whose PAN is half of each; PAN is textured."""
    pan = torch.rand(1, 1, 4 * SIDE, 4 * SIDE, generator=torch.Generator().manual_seed(4))
    part = scene_part(
        PanBatch(
            pan=pan * 400 + 100,
            ms=torch.tensor(ms, dtype=torch.float32)[None, :, None, None].expand(1, 2, SIDE, SIDE),
            mtf=torch.full((1, 2), 0.3),
            softness=torch.full((1, 2), 0.9),
            ratio=4,
        )
    )
    even = {"gain": 1.0, "weights": 0.5, "ms_mean": 100.0, "ms_std": 40.0}
    even = {name: torch.full((1, 2), value) for name, value in even.items()}
    return replace(part, statistics=replace(part.statistics, **even))


def gains(fused: torch.Tensor, part: ScenePart) -> list[float]:
    """DN of each band a DN of PAN's detail, by regression over the whole image."""
    added, detail = fused - part.images.up, part.images.detail
    held = (added * detail).sum((-2, -1)) / (detail * detail).sum((-2, -1))
    return held[0].tolist()


def with_gains(part: ScenePart, first: float, second: float) -> torch.Tensor:
    return part.images.up + torch.tensor([first, second])[None, :, None, None] * part.images.detail


@pytest.mark.parametrize(
    ("ms", "before", "after"),
    [
        ((60, 140), (0.1, 0.6), (LEAST_GAIN, 0.6)),  # .65 of PAN's detail in all: no more to mind
        ((60, 140), (0.9, 0.6), (0.9, 0.6)),  # more than the least
        ((140, 140), (0.1, 0.6), (0.1, 0.6)),  # bright ground
        ((100, 140), (0.1, 0.6), (LEAST_GAIN / 2, 0.6)),  # half as dark
        # PAN's detail and no more in all: (.7 + 1.8) / 2 is 1.25, and the network's sum was .95
        ((60, 140), (0.1, 1.8), (LEAST_GAIN / 1.25, 1.8 / 1.25)),
        # the network gave 1.1 times PAN's detail, and that stays
        ((60, 140), (0.1, 2.1), (LEAST_GAIN * 2.2 / 2.8, 2.1 * 2.2 / 2.8)),
    ],
)
def test_a_dark_band_has_the_least_gain_and_the_sum_stays_pans(ms, before, after):
    part = trees(ms)
    kept = keep_dark_texture(with_gains(part, *before), part)
    assert gains(kept, part) == pytest.approx(list(after), abs=2e-3)


def test_texture_of_the_other_sign_is_texture():
    part = trees((60, 140))
    fused = with_gains(part, -0.75, 0.6)
    torch.testing.assert_close(keep_dark_texture(fused, part), fused)


def test_a_single_band_stays():
    part = trees((60, 140))
    one = part.images.up[:, :1] + 0.1 * part.images.detail
    assert keep_dark_texture(one, part) is one


def test_nothing_is_divided_by_a_pan_without_detail():
    part = trees((60, 140))
    flat = replace(part.images, pan_soft=part.images.pan_low)
    fused = with_gains(part, 0.1, 0.6)
    kept = keep_dark_texture(fused, replace(part, images=flat))
    torch.testing.assert_close(kept, fused)


def test_a_part_needs_its_reach_alone():
    part = trees((60, 140))
    fused = with_gains(part, 0.1, 0.6) + torch.linspace(0, 30, 4 * SIDE)
    batch = PanBatch(
        pan=part.images.pan,
        ms=part.images.ms,
        mtf=torch.full((1, 2), 0.3),
        softness=torch.full((1, 2), 0.9),
        ratio=4,
    )
    rows, columns = slice(40, 64), slice(48, 88)
    whole = keep_dark_texture(fused, part)

    _, fine, inner = cut_around(batch, rows, columns, reach=REACH)
    cut = keep_dark_texture(fused[..., fine[0], fine[1]], part.crop(*fine))

    assert cut.shape[-1] < 4 * SIDE
    torch.testing.assert_close(
        cut[..., inner[0], inner[1]], whole[..., rows, columns], atol=1e-3, rtol=0
    )
