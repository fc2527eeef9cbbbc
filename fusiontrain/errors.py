"""What can go wrong in training and fusing, each with its remedy in the message."""

import signal
from pathlib import Path

from shards.errors import PanpriorError


class UnknownModel(PanpriorError):
    """No model of that name."""


class CheckpointError(PanpriorError):
    """A file offered as weights is not one we can load safely."""


class SceneError(PanpriorError):
    """PAN and MS cannot be read, or do not belong together."""


class TrainingError(PanpriorError):
    """A run cannot start or must not go on."""


class Interrupted(PanpriorError):
    """A signal stopped a run that has saved its state; the same command goes on."""

    def __init__(self, number: int, step: int, out: Path) -> None:
        super().__init__(
            f"stopped by {signal.Signals(number).name} at step {step}; the state is in {out}: "
            "run the same command again to go on"
        )
        self.code = 128 + int(number)


class ShapeError(PanpriorError):
    """Arrays given to a metric, method or model do not fit each other."""


class MetricError(PanpriorError):
    """An index would be no number, or one that misleads."""


class InterruptedBySignal(PanpriorError):
    """Interrupted by a signal; no output was written."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}; nothing was written")
        self.code = 128 + number
