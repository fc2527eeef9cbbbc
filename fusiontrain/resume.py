"""A run's whole state on disk, so that it goes on as if it had never stopped.

One folder a state, `states/step-00001200/`: weights and the optimiser's tensors as safetensors,
and state.json with the step, the run's identity and the sha256 of both. It is written
under another name and renamed when whole; old ones go only after that. Never a pickle.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from fusiontrain.errors import TrainingError
from shards.commit import whole_file
from shards.manifest import file_sha256

FOLDER, STATE = "states", "state.json"
WEIGHTS, OPTIMIZER = "weights.safetensors", "optimizer.safetensors"
VERSION = 1
KEPT = 2  # states on disk: the newest, and one in case it is damaged


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """Where a run stands."""

    step: int  # batches of the global order that are done
    seconds: float
    loss: float  # smoothed


def save_state(
    out: Path,
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
    identity: dict[str, Any],
) -> Path:
    """Write a state whole, then drop all but the newest KEPT. Returns its folder."""
    folder = out / FOLDER / f"step-{progress.step:08d}"
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    tensors = {k: v.detach().cpu().contiguous() for k, v in net.state_dict().items()}
    files = {WEIGHTS: save(tensors), OPTIMIZER: save(_optimizer_tensors(net, optimizer))}
    for name, data in files.items():
        with whole_file(partial / name) as file:
            file.write(data)
    state = {
        "version": VERSION,
        "identity": identity["digest"],
        "step": progress.step,
        "seconds": progress.seconds,
        "loss": progress.loss,
        "sha256": {name: file_sha256(partial / name) for name in files},
    }
    with whole_file(partial / STATE) as file:
        file.write(json.dumps(state, indent=1, sort_keys=True).encode() + b"\n")
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    for old in _states(out)[KEPT:]:
        shutil.rmtree(old, ignore_errors=True)
    return folder


def load_state(
    out: Path,
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    identity: dict[str, Any],
    say: Callable[[str], None],
) -> Progress | None:
    """Bring `net` and `optimizer` to the newest whole state; None if there is none.

    A damaged state is said and passed over. Raises: TrainingError if the states are another run's.
    """
    for folder in _states(out):
        try:
            state = json.loads((folder / STATE).read_bytes())
            for name, digest in state["sha256"].items():
                if name not in (WEIGHTS, OPTIMIZER) or file_sha256(folder / name) != digest:
                    raise ValueError(f"{name} is not as written")
            weights = load((folder / WEIGHTS).read_bytes())
            moments = load((folder / OPTIMIZER).read_bytes())
            progress = Progress(
                step=int(state["step"]), seconds=float(state["seconds"]), loss=float(state["loss"])
            )
            version, owner = state["version"], state["identity"]
        except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
            say(f"{folder} is damaged ({error}); the state before it is taken")
            continue
        if version != VERSION or owner != identity["digest"]:
            raise TrainingError(
                f"{folder} is the state of another run (other shards, options or version)\n"
                "  do: give --out another folder, or delete this one to train anew"
            )
        net.load_state_dict(weights)
        _restore_optimizer(net, optimizer, moments)
        return progress
    return None


def drop_states(out: Path) -> None:
    shutil.rmtree(out / FOLDER, ignore_errors=True)


def _states(out: Path) -> list[Path]:
    """Newest first."""
    return sorted((out / FOLDER).glob("step-*"), reverse=True)


def _optimizer_tensors(net: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    return {
        f"{name}|{key}": torch.as_tensor(value).detach().cpu().contiguous()
        for name, parameter in net.named_parameters()
        for key, value in optimizer.state.get(parameter, {}).items()
    }


def _restore_optimizer(
    net: nn.Module, optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]
) -> None:
    named = dict(net.named_parameters())
    for full, value in tensors.items():
        name, _, key = full.rpartition("|")
        parameter = named[name]
        # AdamW keeps its step count on the CPU.
        place = parameter.device if value.ndim else torch.device("cpu")
        optimizer.state[parameter][key] = value.to(place)
