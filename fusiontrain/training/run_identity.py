"""What makes a run the same run, and the files that say that it has ended."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from fusiontrain.data.dataset import ShardBatches
from fusiontrain.errors import TrainingError
from fusiontrain.models.checkpoints import CheckpointInfo, load_checkpoint, save_checkpoint
from fusiontrain.training.config import RunOptions, TrainConfig
from fusiontrain.training.run_difference import length_note, refuse_other_run
from fusiontrain.training.run_files import CONFIG_NAME, RUN_NAME, WEIGHTS_NAME
from fusiontrain.training.training_state import Progress, State, has_states, keep_last_state
from shards.atomic_write import whole_file


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
    """The run that `out` holds if it is this one; None if this one trains it longer.

    Raises: TrainingError if it is another.
    """
    if not (out / WEIGHTS_NAME).is_file():
        return None
    held = load_checkpoint(out / WEIGHTS_NAME)[1].training
    if held.get("digest") == identity["digest"]:
        return Outcome(
            weights=out / WEIGHTS_NAME, steps=held["steps"], loss=held["loss"], reused=True
        )
    what = f"{out} holds the weights of another run"
    try:
        steps, seconds = int(held["steps"]), float(held["seconds"])
    except (KeyError, TypeError, ValueError):  # weights that this version did not write
        steps, seconds, held = 0, 0.0, {}
    refuse_other_run(what, held, identity, out=out, steps=steps, seconds=seconds)
    if not has_states(out):
        raise TrainingError(
            f"{what}, of another length and without its last state, so it cannot be trained "
            f"longer\n  do: fusiontrain finetune --weights {out / WEIGHTS_NAME}, with `out` "
            "another folder"
        )
    return None


def standing(state: State, config: TrainConfig, log: Callable[[str], None]) -> Progress:
    """Where a run of `config` that goes on from `state` stands; another length is logged."""
    note = length_note(state.config or {}, config, state.progress.step)
    if note is None:
        return state.progress
    line, exact = note
    log(line)
    if exact:
        return state.progress
    steps = (*state.progress.lengthened, state.progress.step)
    return replace(state.progress, lengthened=steps)


def begin(out: Path, identity: dict[str, Any], recipe: str, config_file: str) -> None:
    """Write run.json as far as it is known, and config.yaml, if there is one, for --config."""
    if config_file:
        with whole_file(out / CONFIG_NAME) as file:
            file.write(config_file.encode())
    write_run(out, {**identity, "recipe": {"name": recipe}, "unfinished": True})


def finish(out: Path, net: nn.Module, info: CheckpointInfo) -> None:
    """Write run.json and the weights, and remove all states but the last."""
    write_run(out, info.training)
    save_checkpoint(out / WEIGHTS_NAME, net, info)  # last: they mean that the run has ended
    keep_last_state(out)


def write_run(out: Path, facts: Mapping[str, Any]) -> None:
    """Write run.json."""
    with whole_file(out / RUN_NAME) as file:
        file.write(json.dumps(facts, indent=1, sort_keys=True).encode() + b"\n")
