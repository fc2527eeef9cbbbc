"""Learning rates and averages, against torch's own and against slow twins."""

import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler

from fusiontrain.training.config import TrainConfig
from fusiontrain.training.ema import WeightEma
from fusiontrain.training.schedule import learning_rate

STEPS = 60


def rates(**changes):
    config = TrainConfig(learning_rate=1.0, warmup_steps=0, max_steps=STEPS, **changes)
    return [learning_rate(config, step, step / STEPS) for step in range(STEPS)]


@pytest.mark.parametrize(
    ("schedule", "final", "torchs"),
    [
        ("cosine", 0.1, lambda o: lr_scheduler.CosineAnnealingLR(o, STEPS, eta_min=0.1)),
        ("linear", 0.1, lambda o: lr_scheduler.LinearLR(o, 1.0, 0.1, STEPS)),
        ("steps", 0.0, lambda o: lr_scheduler.StepLR(o, STEPS // 6, gamma=0.8)),
        ("constant", 0.0, lambda o: lr_scheduler.ConstantLR(o, 1.0)),
    ],
)
def test_rates_are_those_of_torch(schedule, final, torchs):
    """PreMix: 300 epochs, StepLR every 50 by .8."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler, expected = torchs(optimizer), []
    for _ in range(STEPS):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()

    assert pytest.approx(expected, rel=1e-6) == rates(schedule=schedule, final_rate=final)


def test_wsd_is_stable_then_cools_down():
    """Hägele et al. 2024: 1 - sqrt over the last share; halfway through it 1 - sqrt(1/2)."""
    found = rates(schedule="wsd", final_rate=0.0, decay_share=0.2)

    assert [1.0] * 49 == found[:49]
    assert pytest.approx(0.292893, abs=1e-6) == found[54]
    assert sorted(found[48:], reverse=True) == found[48:]
    end = learning_rate(TrainConfig(schedule="wsd", final_rate=0.25), 10**6, 1.0)
    assert pytest.approx(0.25 * 2e-3) == end


def test_a_time_budget_cools_down_as_steps_do():
    """The rate goes by the share done, whatever ran before."""
    config = TrainConfig(schedule="wsd", max_minutes=5.0)

    assert learning_rate(config, 500, 0.9) == learning_rate(config, 90_000, 0.9)


def test_the_average_is_the_weighted_sum_it_stands_for():
    """Every weight's share written out, in double precision."""
    net, rng = torch.nn.Linear(2, 1), np.random.default_rng(0)
    average, seen, decays = WeightEma(net, 0.8), [], []
    start = np.concatenate([p.detach().numpy().ravel() for p in net.parameters()])
    for n in range(1, 31):
        values = rng.normal(size=3).astype(np.float32)
        with torch.no_grad():
            net.weight.copy_(torch.from_numpy(values[None, :2]))
            net.bias.copy_(torch.from_numpy(values[2:]))
        average.update(net)
        seen.append(values.astype(np.float64))
        decays.append(min(0.8, (1 + n) / (10 + n)))

    expected = start * np.prod(decays)
    for i, values in enumerate(seen):
        expected = expected + (1 - decays[i]) * np.prod(decays[i + 1 :]) * values
    found = np.concatenate([t.numpy().ravel() for t in average.tensors.values()])
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-7)


def test_counters_are_followed_and_not_averaged():
    net = torch.nn.BatchNorm1d(2)
    average = WeightEma(net, 0.9)
    net.num_batches_tracked.fill_(7)

    average.update(net)

    assert 7 == int(average.tensors["num_batches_tracked"])
