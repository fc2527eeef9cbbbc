"""A training run from its first step to its weights; its parts are in training/."""

import hashlib
import json
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fusiontrain.data.dataset import IndexedShards
from fusiontrain.data.shard_integrity import (
    BadShard,
    BadTolerance,
    ShardSet,
    find_bad_shards,
    refuse_beyond,
)
from fusiontrain.errors import TrainingError
from fusiontrain.models.checkpoints import CheckpointInfo, load_checkpoint, save_checkpoint
from fusiontrain.models.registry import ModelEntry, build_model, find_model
from fusiontrain.training.accelerate_setup import Distributed
from fusiontrain.training.config import RunOptions, TrainConfig
from fusiontrain.training.ema import WeightEma
from fusiontrain.training.launch_checks import hold_folder
from fusiontrain.training.optimizer import make_optimizer
from fusiontrain.training.train_step import TrainStep
from fusiontrain.training.trainer import BEST_NAME, Trainer, TrainerParts
from fusiontrain.training.training_state import State, drop_states, has_states, read_state, restore
from fusiontrain.training.validation import Validation, also_trained_on, hold
from fusiontrain.training.watchdog import Watchdog
from shards.atomic_write import whole_file
from shards.signals import SIGNALS, collected_signals

WEIGHTS_NAME = "model.safetensors"
RUN_NAME = "run.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How a run ended."""

    weights: Path
    steps: int
    loss: float
    reused: bool = False


def train(
    config: TrainConfig, sets: Sequence[ShardSet], out: Path, running: RunOptions | None = None
) -> Outcome:
    """Train, and leave weights, run.json, tables and trackers' files in `out`.

    A finished run of the same configuration and shards is reused as it is; an unfinished one
    goes on from its newest whole state, on any number of processes, as if it had never stopped.
    SIGTERM, SIGINT and SIGUSR1 save a state first. Raises: TrainingError, ContractError;
    Interrupted after such a signal.
    """
    running = running or RunOptions()
    if config.blend != 1:
        raise TrainingError("shards take no blend of weights: it is of tuning on one scene")
    ranks = Distributed(precision=config.precision, trackers=running.trackers, out=out)
    with ExitStack() as stack:
        ranks.on_main(lambda: stack.enter_context(hold_folder(out)))
        outcome = _train(ranks, config, sets, out, running)
    ranks.close()
    return outcome


def _train(
    ranks: Distributed,
    config: TrainConfig,
    sets: Sequence[ShardSet],
    out: Path,
    running: RunOptions,
) -> Outcome:
    entry = find_model(config.model)
    budget = BadTolerance.parse(running.max_bad)
    # One rank a machine looks, all leave out what any has found: else their orders would part.
    mine = ranks.together(
        lambda: (
            find_bad_shards(sets, hashes=True, on_bad=running.on_bad, budget=budget)
            if ranks.first_here
            else {}
        )
    )
    bad = {place: why for found in ranks.everything([mine]) for place, why in found.items()}
    refuse_beyond(budget, bad, sets)
    for reason in bad.values():
        ranks.say(f"left out a bad shard: {reason}")
    reader = ranks.together(lambda: _reader(sets, config, ranks, running, bad))
    identity = _identity(config, reader, sorted(bad))
    ranks.refuse_difference("shards and options", identity["digest"])
    if (done := ranks.on_main(lambda: _finished(out, identity))) is not None:
        return done
    if running.resume == "never" and ranks.on_main(lambda: has_states(out)):
        raise TrainingError(
            f"{out} holds an unfinished run, and --resume is never\n"
            "  do: give --out another folder, delete this one, or --resume auto"
        )
    torch.manual_seed(config.seed)
    bare, sizes = ranks.together(lambda: _network(entry, reader, running.weights))
    bands = sizes.get("bands")
    validation = ranks.together(lambda: _validation(config, entry, bands, running, ranks.say))
    for line in ranks.on_main(lambda: also_trained_on(running.validate, reader.manifests)):
        ranks.say(line)
    fixed = [*running.validate, *(one.folder for one in sets)][0]
    sample = ranks.together(lambda: hold(fixed, bands, 1)) if running.picture_steps else None
    optimizer = make_optimizer(bare, config, entry.freeze_tuning_prefixes)
    if running.compiled:
        bare.compile()  # in place: the names of the weights stay
    net, optimizer = ranks.prepare(bare, optimizer)
    average = WeightEma(ranks.bare(net), config.ema_decay) if config.ema_decay else None
    state: State | None = ranks.on_main(lambda: read_state(out, identity, ranks.say))
    if state is not None:
        restore(state, ranks.bare(net), optimizer.optimizer, average)
        if state.scaler is not None and ranks.scaler is not None:
            ranks.scaler.load_state_dict(state.scaler)
    else:  # what an earlier run may have left is not this one's best
        ranks.on_main(lambda: (out / BEST_NAME).unlink(missing_ok=True))
    ranks.start_trackers(
        {"recipe": running.recipe, **config.as_data()}, state.progress.step if state else 0
    )

    def info(facts: dict[str, Any]) -> CheckpointInfo:
        weights = "averaged" if average is not None else "last"
        recipe = {"name": running.recipe, "sha256": config.digest}
        told = {**identity, "recipe": recipe, "weights": weights, "processes": ranks.world}
        return CheckpointInfo(model=entry.name, sizes=sizes, training=told | facts)

    with Watchdog(running.hang_minutes, out / f"hang-rank-{ranks.rank}.txt") as watchdog:
        parts = TrainerParts(
            ranks=ranks,
            stepper=TrainStep(
                ranks=ranks,
                net=net,
                optimizer=optimizer,
                config=config,
                accumulate=running.accumulate,
                average=average,
            ),
            reader=reader,
            config=config,
            running=running,
            out=out,
            identity=identity,
            judged=_copy(ranks, entry, sizes),
            validation=validation,
            sample=sample,
            info=info,
            watchdog=watchdog,
        )
        steps = Trainer(parts, state.progress if state else None)
        ending = (*SIGNALS, signal.SIGUSR1)  # they ask the loop to save and stop
        with collected_signals(ending) as signals, _compiling(running.compiled, entry.name):
            facts = steps.go(signals)
        ranks.on_main(lambda: _finish(out, steps.weights(), info(facts)))
    return Outcome(weights=out / WEIGHTS_NAME, steps=facts["steps"], loss=facts["loss"])


def _finish(out: Path, net: nn.Module, info: CheckpointInfo) -> None:
    with whole_file(out / RUN_NAME) as file:
        file.write(json.dumps(info.training, indent=1, sort_keys=True).encode() + b"\n")
    save_checkpoint(out / WEIGHTS_NAME, net, info)  # last: they say that the run has ended
    drop_states(out)


@contextmanager
def _compiling(compiled: bool, name: str) -> Iterator[None]:
    """Raises: TrainingError where torch's compiler fails on the network, in a line of its own."""
    try:
        yield
    except Exception as error:
        if compiled and type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
            raise TrainingError(
                f"torch.compile fails on {name}: {str(error).strip().splitlines()[0]}\n"
                "  do: leave out --compile, or try another version of torch"
            ) from error
        raise


def _reader(
    sets: Sequence[ShardSet],
    config: TrainConfig,
    ranks: Distributed,
    running: RunOptions,
    bad: BadShard,
) -> IndexedShards:
    pieces = ranks.world * running.accumulate
    if running.accumulate > 1 and config.batch_size % pieces:
        raise TrainingError(
            f"--batch-size counts all crops of a step and must divide by processes x --accumulate "
            f"= {ranks.world} x {running.accumulate}; got {config.batch_size}"
        )
    return IndexedShards(
        sets,
        batch=config.batch_size,
        crop=config.crop,
        seed=config.seed,
        rank=ranks.rank,
        world=ranks.world,
        bad=bad,
    )


def _network(
    entry: ModelEntry, reader: IndexedShards, weights: Path | None
) -> tuple[nn.Module, dict[str, int]]:
    """Drawn, or as `weights` has it; a network of a fixed band count takes the shards'."""
    found = sorted({s.row.bands for group in reader.groups for s in group.shards})
    counts = ", ".join(map(str, found))
    if not entry.any_band and len(found) > 1:
        raise TrainingError(
            f"{entry.name} is built for one band count; the shards have {counts}"
            "\n  do: build shards with one (simgen build --bands), or train an any-band model"
        )
    if weights is None:
        sizes = entry.sizes if entry.any_band else {**entry.sizes, "bands": found[0]}
        return build_model(entry.name, **sizes), sizes
    net, info = load_checkpoint(weights, expect=entry.name)
    if info.sizes.get("bands", found[0]) != found[0]:
        raise TrainingError(
            f"{weights} is of {info.sizes['bands']} bands; the shards have {counts}\n"
            "  do: give shards of that count, or an any-band network's weights"
        )
    return net.train(), info.sizes


def _validation(
    config: TrainConfig,
    entry: ModelEntry,
    bands: int | None,
    running: RunOptions,
    say: Callable[[str], None],
) -> Validation | None:
    if not running.validate and not running.scenes:
        return None
    return Validation(
        running.validate, running.scenes, entry=entry, bands=bands, loss=config.loss, say=say
    )


def _copy(ranks: Distributed, entry: ModelEntry, sizes: dict[str, int]) -> nn.Module:
    """A network of the same form, to hold the weights that are measured and given away."""
    with torch.random.fork_rng(devices=[]):
        return build_model(entry.name, **sizes).to(ranks.device).eval()


def _identity(
    config: TrainConfig, reader: IndexedShards, bad: Sequence[tuple[int, str]]
) -> dict[str, Any]:
    """What decides a run; not the number of processes, which may change when it goes on."""
    data = {
        "config": config.as_data(),
        "manifests": [manifest.digest for manifest in reader.manifests],
        "shares": [str(quota) for quota in reader.order.quota],
        "left_out": [f"{place}/{name}" for place, name in bad],
    }
    digest = hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()
    return {**data, "digest": digest}


def _finished(out: Path, identity: dict[str, Any]) -> Outcome | None:
    """The run that `out` holds if it is this one; TrainingError if it is another."""
    if not (out / WEIGHTS_NAME).is_file():
        return None
    held = load_checkpoint(out / WEIGHTS_NAME)[1].training
    if held.get("digest") != identity["digest"]:
        raise TrainingError(
            f"{out} holds the weights of another run (other shards or options)\n"
            "  do: give --out another folder, or delete this one to train anew"
        )
    drop_states(out)  # a kill may have left them
    return Outcome(weights=out / WEIGHTS_NAME, steps=held["steps"], loss=held["loss"], reused=True)
