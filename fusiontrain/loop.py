"""The training loop. The only accelerate import."""

import csv
import hashlib
import json
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list, set_seed
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from torch import Tensor, nn

from fusiontrain.checkpoints import CheckpointInfo, load_checkpoint, save_checkpoint
from fusiontrain.config import TrainConfig
from fusiontrain.crops import TrainingBatch
from fusiontrain.errors import Interrupted, TrainingError
from fusiontrain.indexed import IndexedShards, OnBad, ShardSet, batches, find_bad
from fusiontrain.losses import relative_l1
from fusiontrain.models.registry import ModelEntry, build_model, find_model
from fusiontrain.resume import Progress, drop_states, load_state, save_state
from shards.commit import whole_file

WEIGHTS_NAME = "model.safetensors"
SAVE_MINUTES = 10.0  # between states
RUN_NAME = "run.json"
LOG_EVERY = 20
MAX_BAD_STEPS = 20  # steps in a row whose loss is not finite


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How a run ended."""

    weights: Path
    steps: int
    loss: float
    reused: bool = False


def train(
    config: TrainConfig,
    sets: Sequence[ShardSet],
    out: Path,
    *,
    workers: int,
    on_bad: OnBad = "fail",
    save_minutes: float = SAVE_MINUTES,
) -> Outcome:
    """Train, and leave weights, run.json, log.csv and TensorBoard files in `out`.

    A finished run of the same configuration and shards is reused as it is; an unfinished one
    goes on from its newest whole state, on any number of processes, as if it had never stopped.
    SIGTERM, SIGINT and SIGUSR1 save a state first. Raises: TrainingError, ContractError;
    Interrupted after such a signal.
    """
    _prepare_folder(out)
    _refuse_split_launch()
    accelerator = Accelerator(
        mixed_precision=config.precision,
        log_with="tensorboard",
        project_dir=str(out),
    )
    if accelerator.device.type == "cpu":
        # accelerate launch leaves one thread a process; the cores are ours.
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        torch.set_num_threads(max(1, (cores or 1) // accelerator.num_processes))
    set_seed(config.seed)
    entry = find_model(config.model)
    bad: list[Any] = [None]
    if accelerator.is_main_process:
        bad = [find_bad(sets, hashes=True, on_bad=on_bad)]
    # One rank looks, all leave out the same: else their orders would part.
    bad = broadcast_object_list(bad)
    reader = IndexedShards(
        sets,
        batch=config.batch_size,
        crop=config.crop,
        seed=config.seed,
        rank=accelerator.process_index,
        world=accelerator.num_processes,
        bad=bad[0],
    )
    for reason in bad[0].values():
        accelerator.print(f"fusiontrain: left out a bad shard: {reason}")
    identity = _identity(config, reader, sorted(bad[0]))
    if (done := _finished(out, identity)) is not None:
        return done
    sizes = _sizes(entry, reader)
    net = build_model(entry.name, **sizes)
    optimizer = torch.optim.AdamW(
        net.parameters(),
        lr=config.learning_rate,
        betas=(0.9, 0.999),
        weight_decay=config.weight_decay,
    )
    # Our loader is not prepared: accelerate would shard it a second time.
    net, optimizer = accelerator.prepare(net, optimizer)
    accelerator.init_trackers("tensorboard")

    def keep(now: Progress) -> None:
        if accelerator.is_main_process:
            save_state(out, accelerator.unwrap_model(net), optimizer.optimizer, now, identity)
        accelerator.wait_for_everyone()

    start = load_state(
        out, accelerator.unwrap_model(net), optimizer.optimizer, identity, _say(accelerator)
    ) or Progress(step=0, seconds=0.0, loss=math.nan)
    run = _Run(accelerator, net, optimizer, reader, config, out, keep, save_minutes)
    with _signals() as signals:
        end = run.go(start, workers, signals)
    training = {
        **identity,
        "steps": end.step,
        "loss": end.loss,
        "seconds": round(end.seconds),
        "processes": accelerator.num_processes,
    }
    if accelerator.is_main_process:
        info = CheckpointInfo(model=entry.name, sizes=sizes, training=training)
        save_checkpoint(out / WEIGHTS_NAME, accelerator.unwrap_model(net), info)
        with whole_file(out / RUN_NAME) as file:
            file.write(json.dumps(training, indent=1, sort_keys=True).encode() + b"\n")
        drop_states(out)
    accelerator.wait_for_everyone()
    accelerator.end_training()
    return Outcome(weights=out / WEIGHTS_NAME, steps=end.step, loss=end.loss)


def _say(accelerator: Accelerator) -> Callable[[str], None]:
    return lambda text: accelerator.print(f"fusiontrain: {text}")


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Signals that came while the block ran: they ask the loop to save and stop."""
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield came  # only the main thread may set handlers
        return
    asked = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
    before = {number: signal.signal(number, lambda n, _: came.append(n)) for number in asked}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _prepare_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        if not os.access(out, os.W_OK):
            raise PermissionError(13, "not writable")
    except OSError as error:
        raise TrainingError(f"cannot write to {out.absolute()}: {error.strerror}") from error


def _refuse_split_launch() -> None:
    """On a machine without GPUs torchrun needs a hint, else its processes train apart or hang."""
    asked = int(os.environ.get("WORLD_SIZE", "1"))
    told = os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true", "yes")
    if asked > 1 and not torch.cuda.is_available() and not told:
        raise TrainingError(
            f"launched as {asked} processes without GPUs, and accelerate is not told so\n"
            "  do: set ACCELERATE_USE_CPU=true before torchrun"
        )


def _sizes(entry: ModelEntry, reader: IndexedShards) -> dict[str, int]:
    """The entry's sizes; a network of a fixed band count takes the shards'."""
    if entry.any_band:
        return entry.sizes
    found = sorted({s.row.bands for group in reader.groups for s in group.shards})
    if len(found) > 1:
        counts = ", ".join(map(str, found))
        raise TrainingError(
            f"{entry.name} is built for one band count; the shards have {counts}"
            "\n  do: build shards with one (simgen build --bands), or train an any-band model"
        )
    return {**entry.sizes, "bands": found[0]}


def _identity(config: TrainConfig, reader: IndexedShards, bad: list[str]) -> dict[str, Any]:
    """What decides a run; not the number of processes, which may change when it goes on."""
    manifests = [manifest.digest for manifest in reader.manifests]
    shares = [str(quota) for quota in reader.order.quota]
    left_out = [Path(path).name for path in bad]
    data = {
        "config": config.as_data(),
        "manifests": manifests,
        "shares": shares,
        "left_out": left_out,
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
    return Outcome(weights=out / WEIGHTS_NAME, steps=held["steps"], loss=held["loss"], reused=True)


@dataclass(frozen=True, slots=True)
class _Run:
    accelerator: Accelerator
    net: nn.Module
    optimizer: Any
    reader: IndexedShards
    config: TrainConfig
    out: Path
    keep: Callable[[Progress], None]
    save_minutes: float

    def go(self, start: Progress, workers: int, signals: list[int]) -> Progress:
        """From `start` to the end. Raises: TrainingError; Interrupted, a state being saved."""
        config, accelerator = self.config, self.accelerator
        columns = (
            TextColumn("pretrain"),
            BarColumn(),
            TextColumn("{task.fields[shown]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        main = accelerator.is_main_process
        bar = Bar(*columns, console=Console(stderr=True), disable=not main)
        smoothed, bad, waited, step = start.loss, 0, 0.0, start.step
        begun = saved = time.monotonic()
        with bar, _Log(self.out / "log.csv", accelerator, start.step) as log:
            task = bar.add_task("", total=1.0, shown=f"from step {step}")
            feed = iter(batches(self.reader, start=step, workers=workers))
            while True:
                seconds = start.seconds + time.monotonic() - begun
                done, stop, due = self._agree(
                    step, seconds, signals, time.monotonic() - saved > 60 * self.save_minutes
                )
                now = Progress(step=step, seconds=seconds, loss=smoothed)
                if stop:
                    self.keep(now)
                    raise Interrupted(signal.Signals(stop), step, self.out)
                if done >= 1:
                    break
                if due:
                    self.keep(now)
                    saved = time.monotonic()
                before = time.monotonic()
                batch = next(feed)
                waited += time.monotonic() - before
                rate = learning_rate(config, step, done)
                loss, norm = _step(
                    accelerator, self.net, self.optimizer, batch, rate, config.clip_norm
                )
                step += 1
                if math.isfinite(loss):
                    bad = 0
                    smoothed = loss if math.isnan(smoothed) else 0.98 * smoothed + 0.02 * loss
                else:
                    bad += 1
                    if bad >= MAX_BAD_STEPS:
                        raise TrainingError(
                            f"the loss was not finite for {bad} steps in a row, last at step "
                            f"{step}\n  do: lower the learning rate, or look at the shards "
                            "(simgen look)"
                        )
                if step % LOG_EVERY == 0:
                    elapsed = time.monotonic() - begun
                    speed = (step - start.step) * config.batch_size / elapsed
                    shown = f"step {step}, loss {smoothed:.4f}, {speed:.1f} crops/s"
                    bar.update(task, completed=done, shown=shown)
                    log.row(step, smoothed, rate, norm, speed, waited / elapsed)
            bar.update(task, completed=1.0)
        if math.isnan(smoothed):
            raise TrainingError(f"no step of {step} gave a finite loss; nothing was learnt")
        return now

    def _agree(
        self, step: int, seconds: float, signals: list[int], due: bool
    ) -> tuple[float, int, bool]:
        """(share done, signal or 0, whether to save), the same on every rank at every step."""
        config, accelerator = self.config, self.accelerator
        by_time = 0.0 if config.max_minutes is None else seconds / (60 * config.max_minutes)
        mine = [by_time, float(signals[0] if signals else 0), float(due)]
        if accelerator.num_processes > 1:
            # The latest clock and any rank's signal count for all: else some would wait for ever.
            told = torch.tensor(mine, device=accelerator.device)
            mine = accelerator.gather(told[None]).amax(0).tolist()
        by_time, stop, due_anywhere = mine
        return min(1.0, max(step / config.max_steps, by_time)), int(stop), bool(due_anywhere)


def learning_rate(config: TrainConfig, step: int, done: float) -> float:
    """Linear warm-up, then a cosine over the run's share done."""
    warm = min(1.0, (step + 1) / max(1, config.warmup_steps))
    cosine = 0.5 * (1 + math.cos(math.pi * done))
    return config.learning_rate * warm * (config.final_rate + (1 - config.final_rate) * cosine)


def _step(
    accelerator: Accelerator,
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: TrainingBatch,
    rate: float,
    clip_norm: float,
) -> tuple[float, float]:
    """(loss, gradient norm); weights stay as they were where either is not finite."""
    seen, gt = batch.seen.to(accelerator.device), batch.gt.to(accelerator.device)
    for group in optimizer.param_groups:
        group["lr"] = rate
    with accelerator.autocast():
        fused = net(seen)
    loss = relative_l1(fused.float(), gt, seen.ms)
    optimizer.zero_grad(set_to_none=True)
    accelerator.backward(loss)
    norm: Tensor = accelerator.clip_grad_norm_(net.parameters(), clip_norm)
    # The norm is of the gradients averaged over ranks, so all ranks decide alike.
    if torch.isfinite(norm):
        optimizer.step()
    return float(loss.detach()), float(norm)


class _Log:
    """One row every LOG_EVERY steps: a CSV always, and accelerate's trackers."""

    def __init__(self, path: Path, accelerator: Accelerator, start: int) -> None:
        self.path, self.accelerator, self.start = path, accelerator, start

    def __enter__(self) -> "_Log":
        main = self.accelerator.is_main_process
        kept = self._rows_before() if main else []
        self.file = self.path.open("w", newline="") if main else None
        self.writer = csv.writer(self.file) if self.file else None
        self.names = ("loss", "learning_rate", "gradient_norm", "crops_per_second", "data_wait")
        if self.writer:
            self.writer.writerow(("step", *self.names))
            self.writer.writerows(kept)
        return self

    def _rows_before(self) -> list[list[str]]:
        """Rows of the run that goes on, up to the step where it goes on."""
        if not self.start or not self.path.is_file():
            return []
        with self.path.open(newline="") as file:
            rows = list(csv.reader(file))[1:]
        return [row for row in rows if row and row[0].isdigit() and int(row[0]) <= self.start]

    def row(self, step: int, *values: float) -> None:
        if self.writer and self.file:
            self.writer.writerow((step, *(f"{v:.6g}" for v in values)))
            self.file.flush()
        self.accelerator.log(dict(zip(self.names, values, strict=True)), step=step)

    def __exit__(self, *_: object) -> None:
        if self.file:
            self.file.close()
