"""The step loop: when to save, validate, draw and stop, decided alike on every rank."""

import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from fusiontrain.data.crops import TrainingBatch
from fusiontrain.data.dataset import ShardBatches
from fusiontrain.data.loader import BatchLoader
from fusiontrain.errors import Interrupted, TrainingError
from fusiontrain.training.accelerate_setup import Distributed
from fusiontrain.training.checkpointing import StateSaver
from fusiontrain.training.config import RunOptions, TrainConfig
from fusiontrain.training.progress import RunProgress
from fusiontrain.training.run_log import RunLog
from fusiontrain.training.schedule import learning_rate
from fusiontrain.training.train_step import TrainStep
from fusiontrain.training.validator import Validator
from fusiontrain.training.watchdog import Watchdog
from shards.errors import PanpriorError


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """What all ranks do before the next step."""

    done: float  # share of the run, 0..1
    signal: int  # that asks to stop; 0: none
    save: bool
    validate: bool
    lacking: bool  # a rank cannot read its part of the batch


@dataclass(frozen=True, kw_only=True, slots=True)
class Trainer:
    """A run from where it stands to its end."""

    distributed: Distributed
    train_step: TrainStep
    data: ShardBatches[Any]
    config: TrainConfig
    options: RunOptions
    out: Path
    progress: RunProgress
    saver: StateSaver
    log: RunLog
    validator: Validator
    watchdog: Watchdog

    def run(self, signals: list[int]) -> dict[str, Any]:
        """The run's facts. `signals` grows when one comes.

        Raises: TrainingError, ContractError, SharingError; Interrupted, a state being saved.
        """
        progress = self.progress
        loader = BatchLoader(
            self.data,
            start=progress.step,
            workers=self.options.workers,
            device=self.distributed.device,
        )
        with ExitStack() as stack:
            stack.enter_context(self.log)
            feed = stack.enter_context(closing(iter(loader)))
            while True:
                batch = self._next(feed)
                plan = self._agree(signals, isinstance(batch, Exception))
                if plan.done >= 1:  # before a state is saved at the end
                    self.log.last_row()
                self._pause(plan)
                if plan.done >= 1:
                    break
                if isinstance(batch, Exception):
                    raise batch
                if plan.lacking:
                    raise TrainingError(
                        f"another process cannot read its part of step {progress.step + 1}; "
                        "its line says why"
                    )
                self._learn(batch, plan.done)
            self.log.show(1.0)
            if not math.isnan(progress.loss):
                self.saver.save()  # from where the run can be made longer
        if math.isnan(progress.loss):
            raise TrainingError(
                f"no step of {progress.step} gave a finite loss; nothing was learnt"
            )
        return progress.facts()

    def _next(self, feed: Iterator[TrainingBatch]) -> TrainingBatch | PanpriorError | OSError:
        """The step's batch, or why there is none: then all ranks must hear of it."""
        before = time.monotonic()
        try:
            return next(feed)
        except (PanpriorError, OSError) as error:
            return error
        finally:
            self.progress.clock.waited += time.monotonic() - before

    def _agree(self, signals: list[int], lacking: bool) -> Agreement:
        """The same on every rank, at every step."""
        config, options, progress = self.config, self.options, self.progress
        now, clock = time.monotonic(), progress.clock
        minutes = config.max_minutes
        own = [
            0.0 if minutes is None else progress.seconds / (60 * minutes),
            float(signals[0] if signals else 0),
            float(now - clock.saved > 60 * options.save_minutes),
            float(now - clock.validated > 60 * options.validate_minutes),
            float(lacking),
        ]
        # The latest clock and any rank's signal count for all: else some would wait for ever.
        by_time, stop, save, validate, lacks = self.distributed.max(own)
        done = min(1.0, max(progress.step / config.max_steps, by_time))
        return Agreement(
            done=done,
            signal=int(stop),
            save=bool(save) or progress.is_due(options.save_steps),
            validate=self.validator.validation is not None
            and (done >= 1 or progress.is_due(options.validate_steps) or bool(validate)),
            lacking=bool(lacks),
        )

    def _pause(self, plan: Agreement) -> None:
        """What is due between two steps. Raises: Interrupted."""
        self.watchdog.beat()
        if plan.validate:
            self._aside(self.validator.validate)
        if self.progress.is_due(self.options.picture_steps):
            self._aside(self.validator.draw)
        if plan.signal:
            self.saver.save()
            raise Interrupted(signal.Signals(plan.signal), self.progress.step, self.out)
        if plan.done < 1 and (plan.save or plan.lacking):
            self._aside(self.saver.save)

    def _aside(self, work: Callable[[], None]) -> None:
        before = time.monotonic()
        work()
        self.progress.clock.paused += time.monotonic() - before
        self.watchdog.beat()

    def _learn(self, batch: TrainingBatch, done: float) -> None:
        progress = self.progress
        # A network that draws numbers draws those of its step, whatever was drawn before.
        torch.manual_seed((self.config.seed << 31) + (progress.step << 11) + self.distributed.rank)
        result = self.train_step(batch, learning_rate(self.config, progress.step, done))
        progress.guard.check(result, progress.step + 1, lambda: self.saver.dump(batch, result))
        progress.count(result)
        self.log.step(result)
        self.log.show(done)
