"""Progress as lines, for logs, cron, CI and Slurm: one every so many seconds, and no bar."""

import math
import time
from collections.abc import Callable

EVERY = 10.0  # seconds between lines


class ProgressLines:
    """`fusing: window 5 of 12, 42 %, about 2 min left`, at most every `every` seconds of `clock`.

    Nothing is said before `every` seconds are over: short work needs no lines.
    """

    def __init__(
        self,
        say: Callable[[str], None],
        task: str,
        unit: str,
        *,
        every: float = EVERY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.say, self.task, self.unit = say, task, unit
        self.every, self.clock = every, clock
        self.begun = self.said = clock()

    def __call__(self, done: int, total: int, share: float | None = None) -> None:
        """`done` of `total` units; `share`: of the work, where units differ in size."""
        now = self.clock()
        if now - self.said < self.every:
            return
        self.said = now
        part = done / max(total, 1) if share is None else share
        left = ""
        if 0 < part < 1:
            left = f", about {spoken_seconds((now - self.begun) * (1 / part - 1))} left"
        self.say(f"{self.task}: {self.unit} {done} of {total}, {100 * part:.0f} %{left}")


def spoken_seconds(seconds: float) -> str:
    """`45 s`, `12 min` or `3.5 h`."""
    seconds = math.ceil(seconds - 1e-6)  # 12.0000001 is 12
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 2 * 3600 else f"{seconds / 3600:.1f} h"
