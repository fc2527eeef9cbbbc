"""The training loop. The only accelerate import."""

import csv
import hashlib
import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor, nn

from fusiontrain.checkpoints import CheckpointInfo, load_checkpoint, save_checkpoint
from fusiontrain.config import TrainConfig
from fusiontrain.errors import TrainingError
from fusiontrain.losses import relative_l1
from fusiontrain.models.registry import build_model, find_model
from fusiontrain.reader import ShardReader, TrainingBatch, loader
from shards.commit import whole_file

WEIGHTS_NAME = "model.safetensors"
LAST_NAME = "last.safetensors"  # while a run goes on
SAVE_MINUTES = 10
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


def train(config: TrainConfig, folders: list[Path], out: Path, *, workers: int) -> Outcome:
    """Train, and leave weights, run.json, log.csv and TensorBoard files in `out`.

    A finished run of the same configuration and shards is reused as it is.
    Raises: TrainingError, ContractError.
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
    reader = ShardReader(
        folders,
        batch_size=config.batch_size,
        crop=config.crop,
        seed=config.seed,
        rank=accelerator.process_index,
        world=accelerator.num_processes,
        hashes=accelerator.is_main_process,
    )
    identity = _identity(config, reader, accelerator.num_processes)
    if (done := _finished(out, identity)) is not None:
        return done
    net = build_model(entry.name, **entry.sizes)
    optimizer = torch.optim.AdamW(
        net.parameters(),
        lr=config.learning_rate,
        betas=(0.9, 0.999),
        weight_decay=config.weight_decay,
    )
    # Our loader is not prepared: accelerate would shard it a second time.
    net, optimizer = accelerator.prepare(net, optimizer)
    accelerator.init_trackers("tensorboard")

    def save(name: str, steps: int, loss: float, seconds: float) -> dict[str, Any]:
        training = {**identity, "steps": steps, "loss": loss, "seconds": round(seconds)}
        info = CheckpointInfo(model=entry.name, sizes=entry.sizes, training=training)
        if accelerator.is_main_process:
            save_checkpoint(out / name, accelerator.unwrap_model(net), info)
        return training

    steps, loss, seconds = _run(accelerator, net, optimizer, reader, config, out, workers, save)
    training = save(WEIGHTS_NAME, steps, loss, seconds)
    if accelerator.is_main_process:
        with whole_file(out / RUN_NAME) as file:
            file.write(json.dumps(training, indent=1, sort_keys=True).encode() + b"\n")
        (out / LAST_NAME).unlink(missing_ok=True)
    accelerator.wait_for_everyone()
    accelerator.end_training()
    return Outcome(weights=out / WEIGHTS_NAME, steps=steps, loss=loss)


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


def _identity(config: TrainConfig, reader: ShardReader, processes: int) -> dict[str, Any]:
    manifests = sorted(manifest.digest for manifest in reader.manifests)
    data = {"config": config.as_data(), "manifests": manifests, "processes": processes}
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


def _run(
    accelerator: Accelerator,
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    reader: ShardReader,
    config: TrainConfig,
    out: Path,
    workers: int,
    save: Callable[[str, int, float, float], object],
) -> tuple[int, float, float]:
    """(steps, smoothed loss, seconds). Saves LAST_NAME every SAVE_MINUTES, lest a kill cost all."""
    columns = (
        TextColumn("pretrain"),
        BarColumn(),
        TextColumn("{task.fields[shown]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    bar = Progress(*columns, console=Console(stderr=True), disable=not accelerator.is_main_process)
    smoothed, bad, waited, step, saved = math.nan, 0, 0.0, 0, 0
    start = time.monotonic()
    with bar, _Log(out / "log.csv", accelerator) as log:
        task = bar.add_task("", total=1.0, shown="starting")
        batches = iter(loader(reader, workers=workers))
        while (done := _progress(accelerator, config, step, time.monotonic() - start)) < 1:
            before = time.monotonic()
            batch = next(batches)
            waited += time.monotonic() - before
            rate = learning_rate(config, step, done)
            loss, norm = _step(accelerator, net, optimizer, batch, rate, config.clip_norm)
            step += 1
            if math.isfinite(loss):
                bad = 0
                smoothed = loss if math.isnan(smoothed) else 0.98 * smoothed + 0.02 * loss
            else:
                bad += 1
                if bad >= MAX_BAD_STEPS:
                    raise TrainingError(
                        f"the loss was not finite for {bad} steps in a row, last at step {step}"
                        "\n  do: lower the learning rate, or look at the shards (simgen look)"
                    )
            seconds = time.monotonic() - start
            if seconds > 60 * SAVE_MINUTES * (saved + 1):
                saved += 1
                save(LAST_NAME, step, smoothed, seconds)
            if step % LOG_EVERY == 0:
                speed = step * config.batch_size * accelerator.num_processes / seconds
                shown = f"step {step}, loss {smoothed:.4f}, {speed:.1f} crops/s"
                bar.update(task, completed=done, shown=shown)
                log.row(step, smoothed, rate, norm, speed, waited / seconds)
        bar.update(task, completed=1.0)
    if math.isnan(smoothed):
        raise TrainingError(f"no step of {step} gave a finite loss; nothing was learnt")
    return step, smoothed, time.monotonic() - start


def _progress(accelerator: Accelerator, config: TrainConfig, step: int, seconds: float) -> float:
    """Share of the run that is done, in 0..1, the same on every rank."""
    done = step / config.max_steps
    if config.max_minutes is not None:
        by_time = torch.tensor(seconds / (60 * config.max_minutes), device=accelerator.device)
        # Clocks differ: the slowest rank's would deadlock the fastest, so all use the mean.
        if accelerator.num_processes > 1:
            by_time = accelerator.reduce(by_time, reduction="mean")
        done = max(done, float(by_time))
    return min(done, 1.0)


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

    def __init__(self, path: Path, accelerator: Accelerator) -> None:
        self.path, self.accelerator = path, accelerator

    def __enter__(self) -> "_Log":
        main = self.accelerator.is_main_process
        self.file = self.path.open("w", newline="") if main else None
        self.writer = csv.writer(self.file) if self.file else None
        self.names = ("loss", "learning_rate", "gradient_norm", "crops_per_second", "data_wait")
        if self.writer:
            self.writer.writerow(("step", *self.names))
        return self

    def row(self, step: int, *values: float) -> None:
        if self.writer and self.file:
            self.writer.writerow((step, *(f"{v:.6g}" for v in values)))
            self.file.flush()
        self.accelerator.log(dict(zip(self.names, values, strict=True)), step=step)

    def __exit__(self, *_: object) -> None:
        if self.file:
            self.file.close()
