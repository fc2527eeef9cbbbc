"""Progress as lines, for logs, cron, CI and Slurm: one every so many seconds, and no bar."""

import math
import time
from collections.abc import Callable

EVERY = 10.0  # seconds between lines


class ProgressLines:
    """`fusing: window 5 of 12, 42 %, about 2 min left`, at most every `every` seconds of `clock`.

    Nothing is said before `every` seconds are over: short work needs no lines. Of work of days
    the lines grow rarer: at least `thinning` of the time so far lies between two.
    `first`: the share that was done before.
    """

    def __init__(
        self,
        say: Callable[[str], None],
        task: str,
        unit: str,
        *,
        every: float = EVERY,
        thinning: float = 0.0,
        first: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.say, self.task, self.unit = say, task, unit
        self.every, self.thinning, self.clock = every, thinning, clock
        self.begun = self.said = clock()
        self.first = first

    def __call__(self, done: int, total: int, share: float | None = None) -> None:
        """`done` of `total` units; `share`: of the work, where units differ in size."""
        part = done / max(total, 1) if share is None else share
        self.at(f"{self.unit} {done} of {total}", part)

    def at(self, place: str, share: float) -> None:
        """`place`: where the work is, in words; `share` of it is done."""
        now = self.clock()
        if now - self.said < max(self.every, self.thinning * (now - self.begun)):
            return
        self.said = now
        left = ""
        if self.first < share < 1:
            rate = (share - self.first) / (now - self.begun)
            left = f", about {spoken_seconds((1 - share) / rate)} left"
        self.say(f"{self.task}: {place}, {100 * share:.0f} %{left}")


def spoken_seconds(seconds: float) -> str:
    """`45 s`, `12 min` or `3.5 h`."""
    seconds = math.ceil(seconds - 1e-6)  # 12.0000001 is 12
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 2 * 3600 else f"{seconds / 3600:.1f} h"
