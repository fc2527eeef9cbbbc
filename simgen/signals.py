"""SIGTERM and SIGINT: drop the shard at work, leave nothing half, exit with 128 + signal."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stopped(BaseException):
    """Asked to stop. Not an Exception, or an image's guard would take it for a bad image."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.name = signal.Signals(signum).name
        self.exit_code = 128 + signum


_came: list[int] = []  # signals that stoppable() met


@contextmanager
def stoppable() -> Iterator[None]:
    """Raises: Stopped, from wherever the block is when the first signal comes.

    Later signals are ignored: whoever sends one a second time must not cut the tidying short.
    Python drops what is raised in a finalizer (DALI's pipelines have one, run at any moment):
    work must heed() now and then, or such a signal is lost.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return
    _came.clear()

    def stop(signum: int, _: FrameType | None) -> None:
        if not _came:
            _came.append(signum)
            raise Stopped(signum)

    def dropped(what: "sys.UnraisableHookArgs") -> None:
        if not isinstance(what.exc_value, Stopped):  # of that, heed() tells
            hook(what)

    hook, sys.unraisablehook = sys.unraisablehook, dropped
    before = {signum: signal.signal(signum, stop) for signum in SIGNALS}
    try:
        yield
    except Exception as error:
        if _came:  # what broke, broke since its workers were told to stop too
            raise Stopped(_came[0]) from error
        raise
    finally:
        _came.clear()
        sys.unraisablehook = hook
        for signum, handler in before.items():
            signal.signal(signum, handler)


def heed() -> None:
    """Raises: Stopped if a signal came and its own Stopped was dropped. Not for tidying up."""
    if _came:
        raise Stopped(_came[0])


def ignore_signals() -> None:
    """For workers, whom their parent ends, and for a process that is leaving."""
    for signum in SIGNALS:
        signal.signal(signum, signal.SIG_IGN)
