"""The loss of the target `scene`."""

import pytest
import torch

from fusiontrain.imaging.pan_batch import PanBatch
from fusiontrain.training.losses import scene_l1, tone_curve
from fusiontrain.training.recipes.release import release, release_scene


def test_scene_l1_is_0_at_the_truth_and_high_for_lost_detail():
    """Of errors of one size, one that alternates costs more, and more still on dark ground."""
    torch.manual_seed(1)
    mtf = torch.tensor([[0.2, 0.3, 0.4, 0.5]])
    batch = PanBatch(
        ms=900 + 80 * torch.randn(1, 4, 16, 16),
        pan=900 + 80 * torch.randn(1, 1, 64, 64),
        ratio=4,
        mtf=mtf,
        softness=mtf,
    )
    dark, spread = batch.ms.amin((-2, -1), True), batch.ms.std((-2, -1), keepdim=True)
    stripes = torch.full((64,), 0.2)
    stripes[::2] *= -1

    def loss(level, error):
        truth = (dark + level * spread).expand(-1, -1, 64, 64)
        return float(scene_l1(truth + error * spread, truth, batch))

    assert 0 == loss(4, 0)
    assert loss(4, stripes) > 1.1 * loss(4, 0.2)  # though the MS's pixels hold the even one
    assert loss(0.3, stripes) > 1.3 * loss(4, stripes)


def test_an_error_of_hue_costs_as_much_as_one_of_brightness():
    """Errors of one size whose bands agree in sign, and those that do not, with the same detail."""
    torch.manual_seed(1)
    mtf = torch.full((1, 4), 0.3)
    batch = PanBatch(
        ms=900 + 80 * torch.randn(1, 4, 16, 16),
        pan=900 + 80 * torch.randn(1, 1, 64, 64),
        ratio=4,
        mtf=mtf,
        softness=mtf,
    )
    spread = batch.ms.std((-2, -1), keepdim=True)
    truth = (batch.ms.amin((-2, -1), True) + spread).expand(-1, -1, 64, 64)
    signs = torch.tensor([1.0, 1.0, -1.0, -1.0])[:, None, None]

    grey, hue = (scene_l1(truth + e * spread, truth, batch) for e in (0.01, 0.01 * signs))

    # To first order both terms weigh alike, so that neither kind of error is the cheaper one.
    assert float(hue) == pytest.approx(float(grey), rel=0.02)


def test_the_tone_curve_is_a_root_joined_to_a_line():
    """Slope 1 / sqrt(v + .15) above the darkest ground; constant below it."""
    v = torch.tensor([-2.0, -1e-4, 1e-4, 0.85, 3.85], dtype=torch.float64, requires_grad=True)
    tone_curve(v).sum().backward()

    assert [2.582, 2.582, 2.582, 1, 0.5] == pytest.approx(v.grad.tolist(), rel=3e-3)
    assert 0 == float(tone_curve(torch.zeros(())))


def test_runs_state_their_target_where_it_is_not_the_sensor():
    """Digests of older recipes are without it."""
    assert "scene" == release_scene().as_data()["target"]
    assert {"target", "mtf_error"}.isdisjoint(release().as_data())
