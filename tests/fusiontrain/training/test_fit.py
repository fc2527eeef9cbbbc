"""Training in one process: equal to plain torch, and ended by steps or by a clock."""

import copy
import itertools

import pytest
import torch

from fusiontrain.data.dataset import IndexedShards
from fusiontrain.data.shard_integrity import ShardSet
from fusiontrain.models.registry import build_model
from fusiontrain.training.config import TrainConfig
from fusiontrain.training.fit import fit_on_shards
from fusiontrain.training.losses import relative_l1

CONFIG = TrainConfig(
    batch_size=4,
    crop=32,
    max_steps=3,
    loss="relative_l1",
    learning_rate=1e-2,
    warmup_steps=0,
    schedule="constant",
    clip_norm=0.0,
    weight_decay=0.0,
    optimizer="adam",
)


@pytest.fixture
def net():
    torch.manual_seed(0)
    return build_model("anyband", width=8, blocks=1)


def test_the_steps_are_those_of_plain_torch(net, small_build):
    """Weight for weight, on the same batches."""
    plain = copy.deepcopy(net)
    data = IndexedShards([ShardSet(folder=small_build)], batch=4, crop=32, seed=0)
    optimizer = torch.optim.Adam(plain.parameters(), lr=1e-2)
    for k in range(3):
        optimizer.zero_grad()
        batch = data[k]
        relative_l1(plain(batch.inputs), batch.truth, batch.inputs.ms).backward()
        optimizer.step()

    fitted = fit_on_shards(net, [ShardSet(folder=small_build)], CONFIG)

    assert 3 == fitted.steps
    assert fitted.average is None
    for ours, theirs in zip(net.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-7)


def test_a_clock_ends_it_and_a_loss_of_ones_own_is_used(net, small_build):
    """Five ticks of the clock after its start: four steps. The loss given is the loss minimised."""
    ticks = itertools.count()
    losses = []

    def loss(fused, truth, inputs):
        value = (fused - truth).square().mean() / 1e6
        losses.append(float(value.detach()))
        return value

    fitted = fit_on_shards(
        net,
        [ShardSet(folder=small_build)],
        CONFIG,
        loss=loss,
        seconds=5,
        clock=lambda: next(ticks),
    )

    assert 4 == fitted.steps == len(losses)
    assert min(losses) <= fitted.loss <= max(losses)  # smoothed
