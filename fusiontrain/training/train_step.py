"""One step: gradients of a batch, whole or in micro-batches, and the optimizer's move."""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from fusiontrain.data.crops import TrainingBatch
from fusiontrain.imaging.pan_batch import PanBatch
from fusiontrain.training.ema import WeightEma
from fusiontrain.training.given_mtf import with_mtf_error

_MEMORY = 0.98  # of the smoothed loss
Loss = Callable[[Tensor, Tensor, PanBatch], Tensor]  # fused, truth, inputs -> ()


class Processes(Protocol):
    """The processes that share a step: accelerate_setup.Distributed, or fit.OneProcess."""

    @property
    def device(self) -> torch.device: ...

    @property
    def scaler(self) -> Any: ...

    def unwrap(self, net: nn.Module) -> nn.Module: ...

    def autocast(self) -> AbstractContextManager[None]: ...

    def no_sync(self, net: nn.Module) -> AbstractContextManager[Any]: ...

    def backward(self, loss: Tensor) -> None: ...

    def clip(self, net: nn.Module, most: float) -> Tensor: ...

    def mean(self, value: Tensor) -> Tensor: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class StepResult:
    """What a step did, the same on every rank."""

    loss: float  # mean over the global batch
    norm: float  # of the gradient, before clipping
    rate: float

    @property
    def finite(self) -> bool:
        return math.isfinite(self.loss) and math.isfinite(self.norm)

    def smoothed(self, before: float) -> float:
        """The running mean of the loss after this step; `before`: NaN at the first."""
        if not self.finite:
            return before
        old = self.loss if math.isnan(before) else before
        return _MEMORY * old + (1 - _MEMORY) * self.loss


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainStep:
    """Weights stay as they were after a step that was not finite."""

    processes: Processes
    net: nn.Module
    optimizer: Any
    loss: Loss
    clip_norm: float  # 0: gradients are left as they are
    accumulate: int = 1  # micro-batches
    average: WeightEma | None = None
    mtf_error: float = 0.0  # of the MTF that the network is given; the loss uses the true one

    def __call__(self, batch: TrainingBatch, rate: float) -> StepResult:
        """Train on this rank's part of a batch at that learning rate."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.processes.device)
        for index, part in enumerate(split(batch, self.accumulate), 1):
            if index < self.accumulate:
                with self.processes.no_sync(self.net):
                    total += self._backward(part)
            else:  # the last exchanges the gradients of all
                total += self._backward(part)
        norm = self.processes.clip(self.net, self.clip_norm or math.inf)
        # One wait for the device a step, not one a number.
        loss, norm = torch.stack([self.processes.mean(total), norm.to(total)]).tolist()
        result = StepResult(loss=loss, norm=norm, rate=rate)
        # fp16's scaler leaves out such a step by itself, and must see it to scale less.
        if result.finite or self.processes.scaler is not None:
            self.optimizer.step()
        if result.finite and self.average is not None:
            self.average.update(self.processes.unwrap(self.net))
        return result

    def _backward(self, part: TrainingBatch) -> Tensor:
        device = self.processes.device
        inputs, truth = part.inputs.to(device), part.truth.to(device, non_blocking=True)
        given = with_mtf_error(inputs, self.mtf_error) if self.mtf_error else inputs
        with self.processes.autocast():
            fused = self.net(given)
        loss = self.loss(fused.float(), truth, inputs) / self.accumulate
        self.processes.backward(loss)
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
