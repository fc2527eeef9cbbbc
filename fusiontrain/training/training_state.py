"""A run's whole state on disk, so that it goes on as if it had never stopped.

One folder a state, `states/step-00001200/`: weights, the optimiser's tensors and the averaged
weights as safetensors, state.json with the step, the run's identity and the sha256 of these,
and DONE with the sha256 of state.json. It is written under another name and renamed when whole;
old ones go only after that. Never a pickle. All ranks hold the same, so one writes and reads.
"""

import hashlib
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
from fusiontrain.training.ema import WeightEma
from fusiontrain.training.run_difference import recorded, refuse_other_run
from shards.atomic_write import whole_file
from shards.bounded_reading import parse_json, read_bounded
from shards.manifest import file_sha256

FOLDER, STATE, DONE = "states", "state.json", "DONE"
WEIGHTS, OPTIMIZER = "weights.safetensors", "optimizer.safetensors"
AVERAGE = "average.safetensors"
VERSION = 2  # 1, which is read too, had no DONE
# What reading a damaged state raises.
_DAMAGE = (ValueError, KeyError, TypeError, AttributeError, OverflowError, SafetensorError)
KEPT = 2  # states on disk: the newest, and one in case it is damaged


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """Where a run stands."""

    step: int  # batches of the global order that are done
    seconds: float
    loss: float  # smoothed
    skipped: int = 0  # steps that were not finite
    best: float | None = None  # of what validation goes by, and where it was
    best_step: int = 0
    lengthened: tuple[int, ...] = ()  # steps where the run got another end, with other rates


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """What a state's folder holds, checked."""

    progress: Progress
    weights: dict[str, Tensor]
    moments: dict[str, Tensor]
    average: dict[str, Tensor] | None
    updates: int  # of the average
    scaler: dict[str, Any] | None  # fp16's
    places: list[dict[str, Any]] | None = None  # where each reader of a stream goes on
    config: dict[str, Any] | None = None  # of the run that saved it, where it is recorded


def save_state(
    out: Path,
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
    identity: dict[str, Any],
    average: WeightEma | None = None,
    scaler: dict[str, Any] | None = None,
    places: list[dict[str, Any]] | None = None,
) -> Path:
    """Write a state whole, then drop all but the newest KEPT. Returns its folder.

    `places`: where each reader goes on, of a run that streams its shards.
    """
    folder = out / FOLDER / f"step-{progress.step:08d}"
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    files = {
        WEIGHTS: save(_plain(net.state_dict())),
        OPTIMIZER: save(_optimizer_tensors(net, optimizer)),
    }
    if average is not None:
        files[AVERAGE] = save(_plain(average.tensors))
    for name, data in files.items():
        with whole_file(partial / name) as file:
            file.write(data)
    state = {
        "version": VERSION,
        "identity": identity["digest"],
        "step": progress.step,
        "seconds": progress.seconds,
        "loss": progress.loss,
        "skipped": progress.skipped,
        "best": progress.best,
        "best_step": progress.best_step,
        "updates": 0 if average is None else average.updates,
        "lengthened": list(progress.lengthened),
        "run": recorded(identity),
        "scaler": scaler,
        "sha256": {name: file_sha256(partial / name) for name in files},
    }
    if places is not None:
        state["stream"] = places
    with whole_file(partial / STATE) as file:
        file.write(json.dumps(state, indent=1, sort_keys=True).encode() + b"\n")
    with whole_file(partial / DONE) as file:
        file.write(file_sha256(partial / STATE).encode() + b"\n")
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    # A higher number was skipped as damaged: it must not take a whole one's place.
    whole = [state for state in _states(out) if state.name <= folder.name]
    for old in set(_states(out)) - set(whole[:KEPT]):
        shutil.rmtree(old, ignore_errors=True)
    return folder


def read_state(out: Path, identity: dict[str, Any], log: Callable[[str], None]) -> State | None:
    """The newest whole state; None if there is none.

    A damaged state is logged and skipped. A run with another end than this one's, which this one
    goes beyond, is this one. Raises: TrainingError if the states are another run's.
    """
    for folder in _states(out):
        try:
            state, owner, run = _read(folder)
        except (OSError, *_DAMAGE) as error:
            log(f"{folder} is damaged ({error}); the state before it is taken")
            continue
        if owner != identity["digest"]:
            what, progress = f"{folder} is the state of another run", state.progress
            steps, seconds = progress.step, progress.seconds
            refuse_other_run(what, run, identity, out=out, steps=steps, seconds=seconds)
        return state
    return None


def restore(
    state: State,
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: WeightEma | None = None,
) -> None:
    """Bring all of them to where the state was written.

    Raises: TrainingError if the network of that name has another form by now.
    """
    expected = {name: value.shape for name, value in net.state_dict().items()}
    if expected != {name: value.shape for name, value in state.weights.items()}:
        raise TrainingError(
            f"the state of step {state.progress.step} is of another form of this network, by "
            "another version of panprior\n  do: go on with that version, or give --out another "
            "folder"
        )
    net.load_state_dict(state.weights)
    _restore_optimizer(net, optimizer, state.moments)
    if average is not None and state.average is not None:
        average.load(state.average, state.updates)


def load_state(
    out: Path,
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    identity: dict[str, Any],
    log: Callable[[str], None],
    average: WeightEma | None = None,
) -> Progress | None:
    """read_state and restore in one, for a run of one process."""
    state = read_state(out, identity, log)
    if state is None:
        return None
    restore(state, net, optimizer, average)
    return state.progress


def has_states(out: Path) -> bool:
    return bool(_states(out))


def keep_last_state(out: Path) -> None:
    """Drop all states but the newest, from which a finished run can be made longer."""
    for folder in _states(out)[1:]:
        shutil.rmtree(folder, ignore_errors=True)


def _read(folder: Path) -> tuple[State, str, dict[str, Any]]:
    """A state, the digest of its run and what is recorded of that.

    Raises: ValueError and others where it is not whole.
    """
    written = read_bounded(folder / STATE)
    state_json = parse_json(written)
    version = state_json["version"]
    done = folder / DONE
    if version not in (1, VERSION):
        raise ValueError(f"version {version}; expected {VERSION}")
    # The first version left no such mark; where there is one, it counts.
    marked = version != 1 or done.exists()
    if marked and done.read_text(encoding="ascii") != hashlib.sha256(written).hexdigest() + "\n":
        raise ValueError(f"{STATE} is not as written")
    digests = state_json["sha256"]
    if not {WEIGHTS, OPTIMIZER} <= set(digests) <= {WEIGHTS, OPTIMIZER, AVERAGE}:
        raise ValueError(f"{STATE} lists {', '.join(sorted(digests))}")
    for name, digest in digests.items():
        if file_sha256(folder / name) != digest:
            raise ValueError(f"{name} is not as written")
    tensors = {name: load((folder / name).read_bytes()) for name in digests}
    best = state_json.get("best")
    progress = Progress(
        step=int(state_json["step"]),
        seconds=float(state_json["seconds"]),
        loss=float(state_json["loss"]),
        skipped=int(state_json.get("skipped", 0)),
        best=None if best is None else float(best),
        best_step=int(state_json.get("best_step", 0)),
        lengthened=tuple(map(int, state_json.get("lengthened", ()))),
    )
    run = recorded(dict(state_json.get("run", {})))
    state = State(
        progress=progress,
        weights=tensors[WEIGHTS],
        moments=tensors[OPTIMIZER],
        average=tensors.get(AVERAGE),
        updates=int(state_json.get("updates", 0)),
        scaler=state_json.get("scaler"),
        places=state_json.get("stream"),
        config=run.get("config"),
    )
    return state, str(state_json["identity"]), run


def _states(out: Path) -> list[Path]:
    """Newest first."""
    return sorted((out / FOLDER).glob("step-*"), reverse=True)


def _plain(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}


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
