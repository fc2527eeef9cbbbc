"""Training in this process alone: no launcher, states, logs or validation.

one_shot.py tunes by it, and studies train networks of their own by `fit_on_shards`.
"""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fusiontrain.data.crops import TrainingBatch
from fusiontrain.data.dataset import IndexedShards
from fusiontrain.data.loader import BatchLoader
from fusiontrain.data.shard_integrity import ShardSet
from fusiontrain.imaging.full_precision import tf32
from fusiontrain.training.config import TrainConfig
from fusiontrain.training.ema import WeightEma
from fusiontrain.training.losses import LOSSES
from fusiontrain.training.optimizer import make_optimizer
from fusiontrain.training.schedule import learning_rate
from fusiontrain.training.train_step import Loss, StepResult, TrainStep

StepReport = Callable[[int, StepResult, float], None]  # steps done, the step, smoothed loss


@dataclass(frozen=True, kw_only=True, slots=True)
class Fitted:
    """What training gave; the network itself was trained in place."""

    average: dict[str, Tensor] | None  # averaged weights by name, under config.ema_decay
    steps: int
    loss: float  # smoothed


@dataclass(frozen=True, slots=True)
class OneProcess:
    """What TrainStep asks of its processes, where there is one, in full precision."""

    device: torch.device
    scaler: None = None

    def unwrap(self, net: nn.Module) -> nn.Module:
        return net

    def autocast(self) -> AbstractContextManager[None]:
        return nullcontext()

    def no_sync(self, _: nn.Module) -> AbstractContextManager[Any]:
        return nullcontext()

    def backward(self, loss: Tensor) -> None:
        loss.backward()  # type: ignore[no-untyped-call]

    def clip(self, net: nn.Module, most: float) -> Tensor:
        trained = [p for p in net.parameters() if p.requires_grad]
        return torch.nn.utils.clip_grad_norm_(trained, most)

    def mean(self, value: Tensor) -> Tensor:
        return value


def fit(
    net: nn.Module,
    batches: Iterable[TrainingBatch],
    config: TrainConfig,
    *,
    loss: Loss | None = None,
    freeze_prefixes: tuple[str, ...] = (),
    share_done: Callable[[int], float] | None = None,
    report: StepReport | None = None,
) -> Fitted:
    """Train `net` in place, where its weights lie, on a batch a step.

    `loss`: default config.loss. `freeze_prefixes`: names of the parameters that freeze-tuning
    trains. `share_done`: steps done -> share of the run, which ends at 1; default by
    config.max_steps. `report` is called after each step. config's precision and max_minutes are
    ignored.
    """
    share_done = share_done or (lambda steps: steps / config.max_steps)
    average = WeightEma(net, config.ema_decay) if config.ema_decay else None
    train_step = TrainStep(
        processes=OneProcess(next(net.parameters()).device),
        net=net,
        optimizer=make_optimizer(net, config, freeze_prefixes),
        loss=loss or LOSSES[config.loss],
        clip_norm=config.clip_norm,
        average=average,
        mtf_error=config.mtf_error,
    )
    feed, steps, smoothed = iter(batches), 0, math.nan
    with tf32(allowed=config.tf32):
        while (done := share_done(steps)) < 1:
            result = train_step(next(feed), learning_rate(config, steps, done))
            steps += 1
            smoothed = result.smoothed(smoothed)
            if report is not None:
                report(steps, result, smoothed)
    return Fitted(average=average.tensors if average else None, steps=steps, loss=smoothed)


def fit_on_shards(
    net: nn.Module,
    sets: Sequence[ShardSet],
    config: TrainConfig,
    *,
    loss: Loss | None = None,
    seconds: float | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Fitted:
    """Train `net` in place on shards, for config.max_steps or for `seconds` of `clock`.

    `loss`: (fused, truth, inputs) -> (), default config.loss. `clock`: time.process_time counts
    processor time. Raises: TrainingError, ContractError.
    """
    data = IndexedShards(sets, batch=config.batch_size, crop=config.crop, seed=config.seed)
    device = next(net.parameters()).device
    batches = BatchLoader(data, start=0, workers=0, device=device)
    begun = clock()
    by_time = None if seconds is None else (lambda _: (clock() - begun) / seconds)
    return fit(net, batches, config, loss=loss, share_done=by_time)
