"""When a run's state is written, and what a step that was not finite leaves to look at."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fusiontrain.data.crops import TrainingBatch
from fusiontrain.data.dataset import ShardBatches
from fusiontrain.errors import TrainingError
from fusiontrain.training.accelerate_setup import Distributed
from fusiontrain.training.nonfinite import dump_batch
from fusiontrain.training.progress import RunProgress
from fusiontrain.training.train_step import StepResult, TrainStep
from fusiontrain.training.training_state import save_state


@dataclass(frozen=True, kw_only=True, slots=True)
class StateSaver:
    """Writes states of a run into `out`. Every method is called by all ranks alike."""

    distributed: Distributed
    train_step: TrainStep
    data: ShardBatches[Any]
    progress: RunProgress
    identity: dict[str, Any]
    out: Path

    def save(self) -> None:
        """A state of this step. Raises: TrainingError where it cannot be written."""
        # The state that this process started from is on disk: writing it again would remove it
        # first.
        if self.progress.step > self.progress.start.step or not self.progress.step:
            self.distributed.on_main(lambda: self._write(self.out))
        self.progress.clock.saved = time.monotonic()

    def dump(self, batch: TrainingBatch, result: StepResult) -> Path:
        """Each rank its batch, the first also the state, after a step that was not finite."""
        net = self.distributed.unwrap(self.train_step.net)
        folder = self.out / f"not-finite-step-{self.progress.step + 1}"
        own = folder / f"rank-{self.distributed.rank}"
        dump_batch(own, batch, self.data, self.progress.step, net, result)
        if self.distributed.main:
            self._write(folder)
        return folder

    def _write(self, folder: Path) -> None:
        scaler = self.distributed.scaler
        try:
            save_state(
                folder,
                self.distributed.unwrap(self.train_step.net),
                self.train_step.optimizer.optimizer,
                self.progress.record(),
                self.identity,
                self.train_step.average,
                None if scaler is None else scaler.state_dict(),
                self.data.places(self.progress.step),
            )
        except OSError as error:
            raise TrainingError(
                f"cannot save a state in {folder}: {error.strerror}\n"
                "  do: make room, then the same command goes on from the last state"
            ) from error
