"""SIGINT and SIGTERM: the first ends the work, the exit code is 128 + its number."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stopped(BaseException):
    """A signal asked to stop. Not an Exception: a check of bad input must not catch it."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.name = signal.Signals(number).name
        self.exit_code = 128 + number


_received: list[tuple[int, Callable[[int], BaseException]]] = []  # by the running stoppable()
_held_back: list[Callable[[], None]] = []  # what raises its error, once no block holds it back
_holds: list[None] = []  # one of each block that is held_signals()


@contextmanager
def stoppable(error: Callable[[int], BaseException] = Stopped) -> Iterator[None]:
    """Raise `error(number)` wherever the block is when the first SIGINT or SIGTERM comes.

    Later signals are ignored: a second one must not cut the cleaning up short. Python drops an
    exception that is raised in a finalizer (DALI's pipelines have one, run at any moment): long
    work calls check_signals() between its steps, else such a signal is lost. Outside the main
    thread, which alone may set handlers, the block just runs.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _received.clear()
    _held_back.clear()
    raised: list[BaseException] = []

    def stop(number: int, _: FrameType | None) -> None:
        if not _received:
            _received.append((number, error))
            _held_back.append(partial(deliver, number))
            if not _holds:
                _held_back.pop()()

    def deliver(number: int) -> None:
        raised.append(error(number))
        raise raised[0]

    def is_ours(failure: BaseException | None) -> bool:
        return bool(raised) and type(failure) is type(raised[0])

    def report_others(unraisable: "sys.UnraisableHookArgs") -> None:
        if not is_ours(unraisable.exc_value):  # check_signals() raises that one again
            hook(unraisable)

    hook, sys.unraisablehook = sys.unraisablehook, report_others
    before = {number: signal.signal(number, stop) for number in SIGNALS}
    try:
        yield
    except Exception as failure:
        if raised and not is_ours(failure):  # its cause: workers were stopped too
            raise error(_received[0][0]) from failure
        raise
    finally:
        _received.clear()
        _held_back.clear()
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)


def check_signals() -> None:
    """Raise the error of stoppable() again if a signal came and Python dropped it.

    Not for cleaning up, which has to go on after a signal.
    """
    if _received:
        number, error = _received[0]
        raise error(number)


@contextmanager
def held_signals() -> Iterator[None]:
    """A block that no signal of stoppable() interrupts: its error is raised at the block's end.

    For the start and the end of threads: a thread whose start or join is cut short is not waited
    for, and crashes the process if it is in a library while the interpreter ends. Masks of
    signals do not help: another thread takes the signal, and Python's handler runs here.
    """
    if threading.current_thread() is not threading.main_thread():  # no handler runs there
        yield
        return
    _holds.append(None)
    try:
        yield
    finally:
        _holds.pop()
        if _held_back and not _holds:
            _held_back.pop()()


class WaitedForPool(ThreadPoolExecutor):
    """Threads all of which are waited for, whenever a signal of stoppable() comes."""

    def submit(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        with held_signals():
            return super().submit(work, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        with held_signals():
            super().shutdown(wait, cancel_futures=cancel_futures)


@contextmanager
def collected_signals(numbers: Sequence[int]) -> Iterator[list[int]]:
    """Numbers of the signals that came while the block ran, in order; none interrupts it."""
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    before = {n: signal.signal(n, lambda number, _: received.append(number)) for n in numbers}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ignore_signals(numbers: Sequence[int] = SIGNALS) -> None:
    """For worker processes, which their parent ends, and for a process that is leaving."""
    for number in numbers:
        signal.signal(number, signal.SIG_IGN)
