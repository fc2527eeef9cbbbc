"""Networks trained alike: the same processor time, samples, order and schedule."""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from fusiontrain.data.shard_location import find_set
from fusiontrain.training.config import TrainConfig
from fusiontrain.training.fit import fit_on_shards
from fusiontrain.training.train_step import Loss

# The schedule goes by the share of the run: runs of equal seconds differ in steps.
CONFIG = TrainConfig(batch_size=8, schedule="wsd", decay_share=0.3, ema_decay=0.995)


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """A network after its budget, and the facts that are kept of the run."""

    net: nn.Module
    facts: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.facts['steps']} steps, loss {self.facts['loss']:.4f}"


def train(
    build: Callable[[], nn.Module],
    loss: Loss,
    shards: Sequence[str],
    *,
    seed: int,
    args: argparse.Namespace,
) -> Trained:
    """The averaged network after `args.seconds` of processor time."""
    torch.manual_seed(seed)
    net = build()
    fitted = fit_on_shards(
        net,
        [find_set(text) for text in shards],
        replace(CONFIG, crop=args.crop, seed=seed),
        loss=loss,
        seconds=args.seconds,
        clock=time.process_time,
    )
    assert fitted.average is not None
    net.load_state_dict(fitted.average)
    facts = {"seed": seed, "seconds": args.seconds, "steps": fitted.steps, "loss": fitted.loss}
    return Trained(net=net.eval(), facts=facts)
