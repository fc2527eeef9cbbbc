"""Steps that are not finite: left out, counted, and after too many in a row a dump and the end."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from fusiontrain.data.crops import TrainingBatch
from fusiontrain.data.dataset import ShardBatches
from fusiontrain.errors import TrainingError
from fusiontrain.training.train_step import StepResult
from shards.atomic_write import whole_file

MOST_BAD_STEPS = 20  # in a row


class NonFiniteGuard:
    """Counts such steps; `skipped` goes into states and into the weights' metadata."""

    def __init__(self, skipped: int = 0) -> None:
        self.skipped, self.in_a_row = skipped, 0

    def check(self, result: StepResult, step: int, dump: Callable[[], Path]) -> None:
        """Raises: TrainingError after MOST_BAD_STEPS in a row, once `dump` has written its folder.

        `step` counts steps begun, this one too.
        """
        if result.finite:
            self.in_a_row = 0
            return
        self.skipped += 1
        self.in_a_row += 1
        if self.in_a_row < MOST_BAD_STEPS:
            return
        what = "loss" if not math.isfinite(result.loss) else "gradient"
        raise TrainingError(
            f"the {what} was not finite for {self.in_a_row} steps in a row, last at step {step}; "
            f"the batch, its samples' names and the weights are in {dump()}\n"
            "  do: lower `learning_rate`, or look at the shards (simgen look)"
        )


def dump_batch(
    folder: Path,
    batch: TrainingBatch,
    data: ShardBatches[Any],
    k: int,
    net: nn.Module,
    result: StepResult,
) -> Path:
    """Files to examine a step that was not finite: this rank's batch, its samples, all ranges."""
    folder.mkdir(parents=True, exist_ok=True)
    inputs = batch.inputs
    tensors = {
        "gt": batch.truth,
        "ms": inputs.ms,
        "pan": inputs.pan,
        "mtf": inputs.mtf,
        "softness": inputs.softness,
    }
    facts = {
        "step": k,
        "loss": result.loss,
        "gradient_norm": result.norm,
        "learning_rate": result.rate,
        "ratio": inputs.ratio,
        "samples": data.sample_names(k),
        "batch": {name: ranges(tensor) for name, tensor in tensors.items()},
        "weights": {name: ranges(tensor) for name, tensor in net.state_dict().items()},
    }
    with whole_file(folder / "batch.safetensors") as file:
        file.write(save({name: t.detach().cpu().contiguous() for name, t in tensors.items()}))
    with whole_file(folder / "facts.json") as file:
        file.write(json.dumps(facts, indent=1).encode() + b"\n")
    return folder


def ranges(tensor: Tensor) -> dict[str, Any]:
    values = tensor.detach().double().cpu()
    finite = values[torch.isfinite(values)]
    summary = {"shape": list(tensor.shape), "not_finite": values.numel() - finite.numel()}
    if not finite.numel():
        return summary
    return (
        summary
        | {"min": float(finite.min()), "max": float(finite.max())}
        | {"mean": float(finite.mean())}
    )
