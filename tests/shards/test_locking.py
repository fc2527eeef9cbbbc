"""Advisory locks between processes; one file handle a lock, so threads stand for processes."""

import errno
import fcntl
import threading

import pytest

from shards import locking
from shards.locking import AlreadyLocked, file_lock


def test_one_holder_at_a_time(tmp_path):
    path = tmp_path / "lock"
    with file_lock(path):
        with pytest.raises(AlreadyLocked), file_lock(path):
            pytest.fail("two holders")
        with pytest.raises(AlreadyLocked), file_lock(path, shared=True):
            pytest.fail("two holders")
    with file_lock(path):
        assert path.exists()


def test_shared_locks_exclude_only_exclusive_ones(tmp_path):
    path = tmp_path / "lock"
    with (
        file_lock(path, shared=True),
        file_lock(path, shared=True),
        pytest.raises(AlreadyLocked),
        file_lock(path),
    ):
        pytest.fail("two holders")


def test_waiting_is_announced_once(tmp_path):
    path, order, waits = tmp_path / "lock", [], threading.Event()

    def wait():
        with file_lock(path, on_wait=waits.set):
            order.append("second")

    with file_lock(path):
        thread = threading.Thread(target=wait)
        thread.start()
        assert waits.wait(30)
        order.append("first")
    thread.join()

    assert ["first", "second"] == order


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_file_systems_without_locks_are_no_obstacle(tmp_path, monkeypatch, number):
    def flock(*_):
        raise OSError(number, "no locks")

    monkeypatch.setattr(fcntl, "flock", flock)
    with file_lock(tmp_path / "lock"):
        pass


def test_systems_without_flock_are_no_obstacle(tmp_path, monkeypatch):
    monkeypatch.setattr(locking, "fcntl", None)
    with file_lock(tmp_path / "lock"), file_lock(tmp_path / "lock"):
        pass


def test_other_failures_are_raised(tmp_path, monkeypatch):
    def flock(*_):
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(OSError, match="broken"), file_lock(tmp_path / "lock"):
        pytest.fail("no lock")


def test_errors_of_the_block_are_its_own(tmp_path):
    """Not taken for an answer of the lock."""
    with pytest.raises(BlockingIOError, match="mine"), file_lock(tmp_path / "lock"):
        raise BlockingIOError("mine")
