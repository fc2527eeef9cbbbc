"""What makes a run the same run, and the files that say that it has ended."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from fusiontrain.data.dataset import ShardBatches
from fusiontrain.errors import TrainingError
from fusiontrain.models.checkpoints import CheckpointInfo, load_checkpoint, save_checkpoint
from fusiontrain.training.config import RunOptions, TrainConfig
from fusiontrain.training.training_state import drop_states
from shards.atomic_write import whole_file

WEIGHTS_NAME = "model.safetensors"
RUN_NAME = "run.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How a run ended."""

    weights: Path
    steps: int
    loss: float
    reused: bool = False


def run_identity(
    config: TrainConfig, data: ShardBatches[Any], left_out: Sequence[str], options: RunOptions
) -> dict[str, Any]:
    """What decides a run; not the number of processes, which may change when it goes on."""
    facts: dict[str, Any] = {
        "config": config.as_data(),
        "manifests": [manifest.digest for manifest in data.manifests],
        "shares": [str(quota) for quota in data.order.quota],
        "left_out": list(left_out),
    }
    if options.stream:  # absent otherwise: the digests of runs from before stay what they were
        facts["stream"] = True
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return {**facts, "digest": digest}


def find_finished(out: Path, identity: dict[str, Any]) -> Outcome | None:
    """The run that `out` holds if it is this one. Raises: TrainingError if it is another."""
    if not (out / WEIGHTS_NAME).is_file():
        return None
    held = load_checkpoint(out / WEIGHTS_NAME)[1].training
    if held.get("digest") != identity["digest"]:
        raise TrainingError(
            f"{out} holds the weights of another run (other shards or options)\n"
            "  do: give `out` another folder, or delete this one to train anew"
        )
    drop_states(out)  # a kill may have left them
    return Outcome(weights=out / WEIGHTS_NAME, steps=held["steps"], loss=held["loss"], reused=True)


def finish(out: Path, net: nn.Module, info: CheckpointInfo) -> None:
    """Write run.json and the weights, and remove the states."""
    with whole_file(out / RUN_NAME) as file:
        file.write(json.dumps(info.training, indent=1, sort_keys=True).encode() + b"\n")
    save_checkpoint(out / WEIGHTS_NAME, net, info)  # last: they mean that the run has ended
    drop_states(out)
