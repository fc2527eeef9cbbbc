"""Networks trained alike: the same processor time, samples, order and schedule."""

import argparse
import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fusiontrain.data.dataset import IndexedShards
from fusiontrain.data.loader import BatchLoader
from fusiontrain.data.shard_integrity import ShardSet
from fusiontrain.data.shard_location import find_set
from fusiontrain.imaging.pan_batch import PanBatch

BATCH, RATE, WARM, FALL, AVERAGE = 8, 2e-3, 50, 0.3, 0.995
Loss = Callable[[Tensor, Tensor, PanBatch], Tensor]


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """A network after its budget, and the facts that are kept of the run."""

    net: nn.Module
    facts: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.facts['steps']} steps, loss {self.facts['loss']:.4f}"


def train(
    build: Callable[[], nn.Module],
    loss_of: Loss,
    shards: Sequence[str],
    *,
    seed: int,
    args: argparse.Namespace,
) -> Trained:
    """The averaged network after `args.seconds` of processor time."""
    torch.manual_seed(seed)
    net = build()
    mean = copy.deepcopy(net)
    sets: list[ShardSet] = [find_set(text) for text in shards]
    feed = iter(
        BatchLoader(IndexedShards(sets, batch=BATCH, crop=args.crop, seed=seed), start=0, workers=0)
    )
    optimizer = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=1e-4)
    begun, step, smoothed = time.process_time(), 0, math.nan
    while (done := (time.process_time() - begun) / args.seconds) < 1:
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1, (step + 1) / WARM) * min(1, (1 - done) / FALL)
        batch = next(feed)
        fused = net(batch.inputs)
        loss = loss_of(fused, batch.truth, batch.inputs)
        optimizer.zero_grad()
        loss.backward()
        if torch.isfinite(nn.utils.clip_grad_norm_(net.parameters(), 1.0)):
            optimizer.step()
        step += 1
        with torch.no_grad():
            kept = min(AVERAGE, step / (step + 9))
            for slow, fast in zip(mean.parameters(), net.parameters(), strict=True):
                slow.lerp_(fast, 1 - kept)
        value = float(loss.detach())
        smoothed = value if math.isnan(smoothed) else 0.98 * smoothed + 0.02 * value
    facts = {"seed": seed, "seconds": args.seconds, "steps": step, "loss": smoothed}
    return Trained(net=mean.eval(), facts=facts)
