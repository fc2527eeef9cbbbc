"""One step: gradients of a global batch, in one piece or several, and the weights' move."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from fusiontrain.data.crops import TrainingBatch
from fusiontrain.training.accelerate_setup import Distributed
from fusiontrain.training.config import TrainConfig
from fusiontrain.training.ema import WeightEma
from fusiontrain.training.losses import LOSSES


@dataclass(frozen=True, kw_only=True, slots=True)
class StepResult:
    """What a step did, the same on every rank."""

    loss: float  # mean over the global batch
    norm: float  # of the gradient, before clipping
    rate: float

    @property
    def finite(self) -> bool:
        return math.isfinite(self.loss) and math.isfinite(self.norm)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainStep:
    """Weights stay as they were after a step that was not finite."""

    ranks: Distributed
    net: nn.Module
    optimizer: Any
    config: TrainConfig
    accumulate: int = 1
    average: WeightEma | None = None

    def __call__(self, batch: TrainingBatch, step: int, rate: float) -> StepResult:
        # A network that draws numbers draws those of its step, whatever was drawn before.
        torch.manual_seed((self.config.seed << 31) + (step << 11) + self.ranks.rank)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.ranks.device)
        for index, part in enumerate(split(batch, self.accumulate), 1):
            if index < self.accumulate:
                with self.ranks.apart(self.net):
                    total += self._learn(part)
            else:  # the last exchanges the gradients of all
                total += self._learn(part)
        norm = self.ranks.clip(self.net, self.config.clip_norm or math.inf)
        loss = self.ranks.mean(total)
        done = StepResult(loss=float(loss), norm=float(norm), rate=rate)
        # fp16's scaler leaves out such a step by itself, and must see it to scale less.
        if done.finite or self.ranks.scaler is not None:
            self.optimizer.step()
        if done.finite and self.average is not None:
            self.average.update(self.ranks.bare(self.net))
        return done

    def _learn(self, part: TrainingBatch) -> Tensor:
        device = self.ranks.device
        inputs, truth = part.inputs.to(device), part.truth.to(device, non_blocking=True)
        with self.ranks.autocast():
            fused = self.net(inputs)
        loss = LOSSES[self.config.loss](fused.float(), truth, inputs) / self.accumulate
        self.ranks.backward(loss)
        return loss.detach()


def split(batch: TrainingBatch, pieces: int) -> Iterator[TrainingBatch]:
    """Equal parts of a batch, so that the mean of their means is the batch's own."""
    if pieces == 1:
        yield batch
        return
    size = len(batch.truth) // pieces
    for first in range(0, size * pieces, size):
        rows = slice(first, first + size)
        inputs = batch.inputs
        yield replace(
            batch,
            truth=batch.truth[rows],
            inputs=replace(
                inputs,
                ms=inputs.ms[rows],
                pan=inputs.pan[rows],
                mtf=inputs.mtf[rows],
                softness=inputs.softness[rows],
            ),
        )
