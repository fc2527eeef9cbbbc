"""Step after step: when to save, to measure, to draw, to stop; the same on every rank."""

import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from fusiontrain.data.crops import TrainingBatch
from fusiontrain.data.dataset import ShardBatches
from fusiontrain.data.loader import BatchLoader
from fusiontrain.errors import Interrupted, TrainingError
from fusiontrain.models.checkpoints import CheckpointInfo, save_checkpoint
from fusiontrain.training import preview
from fusiontrain.training.accelerate_setup import Distributed
from fusiontrain.training.config import RunOptions, TrainConfig
from fusiontrain.training.csv_log import LOG_COLUMNS, STEPS, Table, progress_bar
from fusiontrain.training.nonfinite import NonFiniteGuard, dump_batch
from fusiontrain.training.schedule import learning_rate
from fusiontrain.training.train_step import StepResult, TrainStep
from fusiontrain.training.training_state import Progress, save_state
from fusiontrain.training.validation import Held, OnDevice, Validation
from fusiontrain.training.watchdog import Watchdog
from shards.errors import PanpriorError

BEST_NAME = "best.safetensors"
LOG_NAME, VALIDATION_NAME = "log.csv", "validation.csv"
_MEMORY = 0.98  # of the loss that is shown


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainerParts:
    """What a run is made of."""

    ranks: Distributed
    stepper: TrainStep
    reader: ShardBatches[Any]
    config: TrainConfig
    running: RunOptions
    out: Path
    identity: dict[str, Any]
    judged: nn.Module  # of the network's form: holds the weights that are measured
    validation: Validation | None
    sample: Held | None  # to draw
    info: Callable[[dict[str, Any]], CheckpointInfo]  # facts of the end -> what weights say
    watchdog: Watchdog


@dataclass(kw_only=True, slots=True)
class Clock:
    """Seconds since this start of the run, and since what is done now and then."""

    begun: float = field(default_factory=time.monotonic)
    saved: float = field(default_factory=time.monotonic)
    measured: float = field(default_factory=time.monotonic)
    waited: float = 0.0  # for data
    aside: float = 0.0  # saving, measuring, drawing

    @property
    def gone(self) -> float:
        return time.monotonic() - self.begun

    @property
    def training(self) -> float:
        return max(1e-9, self.gone - self.aside)


class Trainer:
    """A run from where it stands to its end."""

    def __init__(self, parts: TrainerParts, start: Progress | None) -> None:
        self.parts, self.start = parts, start or Progress(step=0, seconds=0.0, loss=math.nan)
        self.step, self.loss = self.start.step, self.start.loss
        self.best, self.best_step = self.start.best, self.start.best_step
        self.guard, self.clock = NonFiniteGuard(self.start.skipped), Clock()
        self.figures: dict[str, float] = {}  # of the last validation
        self.tables: list[Table] = []  # the log, and validation's

    def go(self, signals: list[int]) -> dict[str, Any]:
        """The run's facts. Raises: TrainingError; Interrupted, a state being saved."""
        parts = self.parts
        with ExitStack() as stack:
            parts.ranks.on_main(lambda: self._open(stack))
            bar = stack.enter_context(progress_bar(shown=parts.ranks.main))
            task = bar.add_task(
                parts.running.recipe, total=1.0, shown=f"from step {self.start.step}"
            )
            read = BatchLoader(
                parts.reader,
                start=self.step,
                workers=parts.running.workers,
                device=parts.ranks.device,
            )
            feed = stack.enter_context(closing(iter(read)))
            while True:
                found = self._next(feed)
                done, stop, save, measure, lacking = self._agree(
                    signals, isinstance(found, Exception)
                )
                parts.watchdog.beat()
                if measure:
                    self._aside(self._measure)
                if self._due(parts.running.picture_steps):
                    self._aside(self._draw)
                if stop:
                    self._keep()
                    raise Interrupted(signal.Signals(stop), self.step, parts.out)
                if done >= 1:
                    break
                if save or lacking:
                    self._aside(self._keep)
                if isinstance(found, Exception):
                    raise found
                if lacking:
                    raise TrainingError(
                        f"another process cannot read its part of step {self.step + 1}; "
                        "its line says why"
                    )
                self._learn(found, learning_rate(parts.config, self.step, done))
                if self.step % parts.running.log_steps == 0:
                    bar.update(task, completed=done, shown=self._shown())
            bar.update(task, completed=1.0)
        if math.isnan(self.loss):
            raise TrainingError(f"no step of {self.step} gave a finite loss; nothing was learnt")
        return self._facts()

    def weights(self) -> nn.Module:
        """What is measured and given away: the averaged weights where there are any."""
        average, net = self.parts.stepper.average, self.parts.stepper.net
        state = average.tensors if average else self.parts.ranks.bare(net).state_dict()
        self.parts.judged.load_state_dict(state)
        return self.parts.judged

    def _next(self, feed: Iterator[TrainingBatch]) -> TrainingBatch | PanpriorError | OSError:
        """The step's batch, or why there is none: then all ranks must hear of it."""
        before = time.monotonic()
        try:
            return next(feed)
        except (PanpriorError, OSError) as error:
            return error
        finally:
            self.clock.waited += time.monotonic() - before

    def _agree(self, signals: list[int], lacking: bool) -> tuple[float, int, bool, bool, bool]:
        """(share done, signal or 0, to save, to measure, a batch is lacking), the same on every
        rank at every step.
        """
        config, running = self.parts.config, self.parts.running
        now = time.monotonic()
        minutes = config.max_minutes
        mine = [
            0.0 if minutes is None else self._seconds() / (60 * minutes),
            float(signals[0] if signals else 0),
            float(now - self.clock.saved > 60 * running.save_minutes),
            float(now - self.clock.measured > 60 * running.validate_minutes),
            float(lacking),
        ]
        # The latest clock and any rank's signal count for all: else some would wait for ever.
        by_time, stop, save, measure, lacks = self.parts.ranks.largest(mine)
        done = min(1.0, max(self.step / config.max_steps, by_time))
        measures = self.parts.validation is not None and (
            done >= 1 or self._due(running.validate_steps) or bool(measure)
        )
        saves = bool(save) or self._due(running.save_steps)
        return done, int(stop), saves, measures, bool(lacks)

    def _due(self, every: int) -> bool:
        """A state holds what was done at its step: a run that goes on does not do it again."""
        return every > 0 and self.step > self.start.step and self.step % every == 0

    def _seconds(self) -> float:
        return self.start.seconds + self.clock.gone

    def _aside(self, work: Callable[[], None]) -> None:
        before = time.monotonic()
        work()
        self.clock.aside += time.monotonic() - before
        self.parts.watchdog.beat()

    def _learn(self, batch: TrainingBatch, rate: float) -> None:
        result = self.parts.stepper(batch, self.step, rate)
        self.guard.see(result, self.step + 1, lambda: self._dump(batch, result))
        self.step += 1
        if result.finite:
            old = result.loss if math.isnan(self.loss) else self.loss
            self.loss = _MEMORY * old + (1 - _MEMORY) * result.loss
        if self.step % self.parts.running.log_steps == 0:
            self._log(result)

    def _open(self, stack: ExitStack) -> None:
        parts = self.parts
        wanted: list[tuple[str, tuple[str, ...]]] = [(LOG_NAME, LOG_COLUMNS)]
        if parts.validation is not None:
            wanted.append((VALIDATION_NAME, parts.validation.columns))
        for name, columns in wanted:
            table = Table(parts.out / name, columns, self.start.step)
            stack.callback(table.close)
            self.tables.append(table)

    def _log(self, result: StepResult) -> None:
        values = (self.loss, result.rate, result.norm, self._speed(), self._wait())
        row = dict(zip(STEPS, values, strict=True))
        row |= {"step_loss": result.loss, "skipped": float(self.guard.skipped)}
        if self.tables:
            self.tables[0].row({"step": self.step, **row})
        self.parts.ranks.log(row, self.step)

    def _speed(self) -> float:
        """Crops a second."""
        return (self.step - self.start.step) * self.parts.config.batch_size / self.clock.training

    def _wait(self) -> float:
        return self.clock.waited / self.clock.training

    def _shown(self) -> str:
        return (
            f"step {self.step}, loss {self.loss:.4f}, {self._speed():.1f} crops/s, "
            f"{self._wait():.0%} waiting for data"
        )

    def _progress(self) -> Progress:
        return Progress(
            step=self.step,
            seconds=self._seconds(),
            loss=self.loss,
            skipped=self.guard.skipped,
            best=self.best,
            best_step=self.best_step,
        )

    def _keep(self) -> None:
        # The state that the run started from is there already; to write it again would first
        # take it away.
        if self.step > self.start.step or not self.step:
            self.parts.ranks.on_main(lambda: self._save(self.parts.out))
        self.clock.saved = time.monotonic()

    def _save(self, folder: Path) -> None:
        parts = self.parts
        scaler = None if parts.ranks.scaler is None else parts.ranks.scaler.state_dict()
        try:
            save_state(
                folder,
                parts.ranks.bare(parts.stepper.net),
                parts.stepper.optimizer.optimizer,
                self._progress(),
                parts.identity,
                parts.stepper.average,
                scaler,
            )
        except OSError as error:
            raise TrainingError(
                f"cannot save a state in {folder}: {error.strerror}\n"
                "  do: make room, then the same command goes on from the last state"
            ) from error

    def _dump(self, batch: TrainingBatch, result: StepResult) -> Path:
        """Every rank its batch, the first also the state."""
        parts, net = self.parts, self.parts.ranks.bare(self.parts.stepper.net)
        folder = parts.out / f"not-finite-step-{self.step + 1}"
        mine = folder / f"rank-{parts.ranks.rank}"
        dump_batch(mine, batch, parts.reader, self.step, net, result)
        if parts.ranks.main:
            self._save(folder)
        return folder

    def _measure(self) -> None:
        parts, validation = self.parts, self.parts.validation
        if validation is None:
            return
        ranks, beat = parts.ranks, parts.watchdog.beat
        net = OnDevice(self.weights(), ranks.device)
        mine = ranks.together(
            lambda: validation.share(net, rank=ranks.rank, world=ranks.world, beat=beat)
        )
        self.figures = validation.combine(ranks.everything(mine))
        self.clock.measured = time.monotonic()
        if len(self.tables) > 1:
            self.tables[1].row({"step": self.step, **self.figures})
        ranks.log({f"validation/{name}": x for name, x in self.figures.items()}, self.step)
        value = self.figures[validation.goes_by]
        if math.isfinite(value) and (self.best is None or value < self.best):
            self.best, self.best_step = value, self.step
            info = parts.info(self._facts())
            ranks.on_main(lambda: save_checkpoint(parts.out / BEST_NAME, self.weights(), info))

    def _draw(self) -> None:
        parts, sample = self.parts, self.parts.sample
        if sample is None:
            return

        def draw() -> None:
            net = OnDevice(self.weights(), parts.ranks.device)
            path = parts.out / preview.FOLDER / f"step-{self.step:08d}.png"
            picture = preview.draw_sample(net, sample, path)
            parts.ranks.log_picture("ms, fused, truth, error", picture, self.step)

        parts.ranks.on_main(draw)

    def _facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = {
            "steps": self.step,
            "loss": self.loss,
            "seconds": round(self._seconds()),
            "skipped": self.guard.skipped,
        }
        if self.parts.validation is not None:
            best = {"by": self.parts.validation.goes_by, "value": self.best, "step": self.best_step}
            facts |= {"validation": self.figures, "best": best}
        return facts
