"""Exceptions of fusiontrain. Each message says what was expected, what was found, what to do."""

import signal
from pathlib import Path

from shards.errors import PanpriorError


class UnknownModel(PanpriorError):
    """The registry has no model of that name."""


class CheckpointError(PanpriorError):
    """A file is not a checkpoint that can be loaded safely."""


class SceneError(PanpriorError):
    """PAN and MS cannot be read or do not fit each other, or a fusion option is invalid."""


class TrainingError(PanpriorError):
    """A training run cannot start or cannot continue."""


class Interrupted(PanpriorError):
    """A signal stopped a training run, whose state was saved; the same command resumes it."""

    def __init__(self, number: int, step: int, out: Path) -> None:
        super().__init__(
            f"stopped by {signal.Signals(number).name} at step {step}; the state is in {out}: "
            "run the same command again to go on"
        )
        self.code = 128 + int(number)


class ShapeError(PanpriorError):
    """Shapes of the inputs of a metric, method or model do not fit each other."""


class MetricError(PanpriorError):
    """A quality index is undefined for its inputs, or would mislead."""


class InterruptedBySignal(PanpriorError):
    """Interrupted by a signal; no output was written."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}; nothing was written")
        self.code = 128 + number
