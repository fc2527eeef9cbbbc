"""Where a run stands: steps, smoothed loss, best validation, and what its time was spent on."""

import math
import time
from dataclasses import dataclass, field
from typing import Any

from fusiontrain.training.nonfinite import NonFiniteGuard
from fusiontrain.training.train_step import StepResult
from fusiontrain.training.training_state import Progress


@dataclass(kw_only=True, slots=True)
class Clock:
    """Seconds of this process, and since states and validations were last made."""

    begun: float = field(default_factory=time.monotonic)
    saved: float = field(default_factory=time.monotonic)
    validated: float = field(default_factory=time.monotonic)
    waited: float = 0.0  # for data
    paused: float = 0.0  # saving, validating, drawing

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.begun

    @property
    def training(self) -> float:
        return max(1e-9, self.elapsed - self.paused)


class RunProgress:
    """The figures of a run that change as it goes; `start` is where this process took it up."""

    def __init__(self, start: Progress | None, *, batch_size: int) -> None:
        self.start = start or Progress(step=0, seconds=0.0, loss=math.nan)
        self.step, self.loss = self.start.step, self.start.loss
        self.best, self.best_step = self.start.best, self.start.best_step
        self.lengthened = self.start.lengthened
        self.guard, self.clock = NonFiniteGuard(self.start.skipped), Clock()
        self.batch_size = batch_size
        self.figures: dict[str, float] = {}  # of the last validation
        self.best_by = ""  # the figure that chooses the best weights; none: no validation

    @property
    def seconds(self) -> float:
        """Of all processes of the run so far, one after the other."""
        return self.start.seconds + self.clock.elapsed

    @property
    def crops_per_second(self) -> float:
        return (self.step - self.start.step) * self.batch_size / self.clock.training

    @property
    def data_wait(self) -> float:
        """Share of the training time that was spent waiting for data."""
        return self.clock.waited / self.clock.training

    def count(self, result: StepResult) -> None:
        """A step is done."""
        self.step += 1
        self.loss = result.smoothed(self.loss)

    def is_due(self, every: int) -> bool:
        """Whether something that is done every so many steps is due.

        Not at the step where this process began: the state was saved after it was done.
        """
        return every > 0 and self.step > self.start.step and self.step % every == 0

    def record(self) -> Progress:
        """For a saved state."""
        return Progress(
            step=self.step,
            seconds=self.seconds,
            loss=self.loss,
            skipped=self.guard.skipped,
            best=self.best,
            best_step=self.best_step,
            lengthened=self.lengthened,
        )

    def facts(self) -> dict[str, Any]:
        """For run.json and for the weights' own metadata."""
        facts: dict[str, Any] = {
            "steps": self.step,
            "loss": self.loss,
            "seconds": round(self.seconds),
            "skipped": self.guard.skipped,
        }
        if self.lengthened:
            facts["lengthened_at"] = list(self.lengthened)
        if self.best_by:
            best = {"by": self.best_by, "value": self.best, "step": self.best_step}
            facts |= {"validation": self.figures, "best": best}
        return facts
