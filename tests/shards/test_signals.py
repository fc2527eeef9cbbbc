"""Stop signals: one ends the work, the rest are ignored, none is lost."""

import os
import signal
import threading
import time

import pytest

from shards.errors import PanpriorError
from shards.signals import (
    Stopped,
    WaitedForPool,
    check_signals,
    collected_signals,
    held_signals,
    ignore_signals,
    stoppable,
)


class OwnError(PanpriorError):
    def __init__(self, number):
        super().__init__(f"own {number}")
        self.number = number


class RaisesWhenDropped:
    """What DALI's pipelines are: work in a finalizer, whose exceptions Python drops."""

    def __del__(self):
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_stops_the_block(number):
    before = signal.getsignal(number)
    with pytest.raises(Stopped) as stopped, stoppable():
        signal.raise_signal(number)

    assert (128 + number, signal.Signals(number).name) == (
        stopped.value.exit_code,
        stopped.value.name,
    )
    assert before is signal.getsignal(number)


def test_a_caller_names_its_own_error():
    with pytest.raises(OwnError, match=f"own {int(signal.SIGTERM)}"), stoppable(OwnError):
        signal.raise_signal(signal.SIGTERM)


def test_a_second_signal_does_not_cut_the_cleaning_up_short():
    cleaned = []

    @stoppable()
    def work():
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGINT)
            cleaned.append(True)

    with pytest.raises(Stopped):
        work()

    assert [True] == cleaned


@pytest.mark.parametrize("error", [Stopped, OwnError])
def test_a_signal_in_a_finalizer_is_raised_at_the_next_check(error, capfd):

    @stoppable(error)
    def work():
        RaisesWhenDropped()
        check_signals()

    with pytest.raises(error):
        work()

    assert "Traceback" not in capfd.readouterr().err


def test_what_breaks_after_a_signal_is_the_signals_doing():

    @stoppable()
    def work():
        RaisesWhenDropped()
        raise ValueError("a worker is gone")

    with pytest.raises(Stopped) as stopped:
        work()

    assert isinstance(stopped.value.__cause__, ValueError)


def test_other_errors_pass():
    check_signals()
    with pytest.raises(ValueError, match="mine"), stoppable():
        raise ValueError("mine")


def test_signals_may_be_collected():
    with collected_signals((signal.SIGTERM, signal.SIGUSR1)) as received:
        signal.raise_signal(signal.SIGUSR1)
        signal.raise_signal(signal.SIGTERM)

    assert [signal.SIGUSR1, signal.SIGTERM] == received


def test_other_threads_have_no_handlers():
    done = []

    def work():
        with stoppable(), collected_signals((signal.SIGTERM,)) as received:
            done.append(received)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert [[]] == done


def test_workers_ignore_what_their_parent_answers():
    child = os.fork()
    if child == 0:
        ignore_signals()
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        os._exit(7)

    assert 7 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_signal_waits_for_the_end_of_the_outermost_block():
    done = []

    def held():
        with stoppable(), held_signals():
            with held_signals():
                signal.raise_signal(signal.SIGTERM)
                done.append("inner")
            done.append("outer")

    with pytest.raises(Stopped, match="SIGTERM"):
        held()
    assert ["inner", "outer"] == done


def test_a_block_without_a_signal_raises_nothing_and_the_next_signal_is_not_held():
    with held_signals():
        pass
    with pytest.raises(Stopped), stoppable():
        signal.raise_signal(signal.SIGINT)


def test_other_threads_hold_nothing():
    """The handler runs in the main thread, which such a block does not concern."""
    inside, leave = threading.Event(), threading.Event()

    def hold():
        with held_signals():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait(10)
    try:
        with pytest.raises(Stopped), stoppable():
            signal.raise_signal(signal.SIGTERM)
    finally:
        leave.set()
        thread.join()


@pytest.mark.parametrize("moment", ["start", "end"])
def test_threads_of_a_pool_are_waited_for_whenever_a_signal_comes(monkeypatch, moment):
    """A signal amid a thread's start, and amid the wait for its end."""
    ended = []
    begin, join = threading.Thread.start, threading.Thread.join

    def interrupted(method):
        def run(self, *args):
            signal.raise_signal(signal.SIGTERM)
            return method(self, *args)

        return run

    def work():
        time.sleep(0.2)
        ended.append(threading.current_thread())

    name, method = ("start", begin) if moment == "start" else ("join", join)
    monkeypatch.setattr(threading.Thread, name, interrupted(method))
    with pytest.raises(Stopped), stoppable(), WaitedForPool(1) as pool:
        pool.submit(work)
    assert 1 == len(ended)
