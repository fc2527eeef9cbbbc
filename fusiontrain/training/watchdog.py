"""Ends a process that makes no progress: a hung collective, a reader that never returns.

A thread looks at when the run last moved. Past the limit it says so, writes where every thread
stands, and ends the process at once: nothing that hangs can be waited for. Should even that
thread not get its turn (a C call that holds the interpreter), faulthandler's own timer, which
needs no interpreter, does the same a little later with exit code 1.
"""

import faulthandler
import os
import sys
import threading
import time
from pathlib import Path

HUNG = 75  # EX_TEMPFAIL of sysexits.h: try again, from the last state
_GRACE = 60.0  # seconds after which the timer below the interpreter takes over
_OFTEN = 20  # looks within one limit
_STDERR = 2  # the file descriptor: whatever sys.stderr has become


class Watchdog:
    """A context; call `beat` whenever the run has moved. `minutes` 0: no watch."""

    def __init__(self, minutes: float, report: Path) -> None:
        """`report` is the file that tells where the threads stood; it is made only then."""
        self.seconds, self.report = 60 * minutes, report
        self._last = self._armed = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def __enter__(self) -> "Watchdog":
        if self.seconds:
            self.beat()
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.seconds:
            self._over.set()
            self._thread.join()
            faulthandler.cancel_dump_traceback_later()

    def beat(self) -> None:
        if not self.seconds:
            return
        self._last = time.monotonic()
        # Arming starts a thread of C: once in a while is enough.
        if self._last - self._armed > self.seconds / _OFTEN:
            self._armed = self._last
            faulthandler.dump_traceback_later(self.seconds + _GRACE, exit=True, file=_STDERR)

    def _watch(self) -> None:
        while not self._over.wait(self.seconds / _OFTEN):
            still = time.monotonic() - self._last
            if still > self.seconds:
                self._end(still)

    def _end(self, still: float) -> None:
        message = (
            f"fusiontrain: no step for {still / 60:.1f} minutes "
            f"(hang_minutes={self.seconds / 60:g}): given up; where it stood is in {self.report}\n"
            "  do: run the same command again, it goes on from the last state\n"
        )
        try:
            sys.stderr.write(message)
            sys.stderr.flush()
            try:
                with self.report.open("w") as file:
                    faulthandler.dump_traceback(file)
            except OSError:  # a machine without the run's folder, or a full disk
                faulthandler.dump_traceback(_STDERR)
        finally:
            os._exit(HUNG)
