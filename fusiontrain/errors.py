"""What can go wrong in training and fusing, each with its remedy in the message."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

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
    """A signal ended what was being done; nothing is left of it."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}; nothing was written")
        self.code = 128 + number


@contextmanager
def stoppable() -> Iterator[None]:
    """Raises: Stopped in the block at the first SIGINT or SIGTERM; later ones are ignored."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return
    came: list[int] = []

    def stop(number: int, _: FrameType | None) -> None:
        if not came:
            came.append(number)
            raise InterruptedBySignal(number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
