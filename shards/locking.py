"""Advisory locks on files (flock): one writer a folder, one download a build."""

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows has no flock
    fcntl = None  # type: ignore[assignment]

# Answers of file systems without locks. Work goes on there, as it does where flock is missing.
_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})


class AlreadyLocked(Exception):
    """Another process holds the lock."""


@contextmanager
def file_lock(
    path: Path, *, shared: bool = False, on_wait: Callable[[], None] | None = None
) -> Iterator[None]:
    """Hold a lock on `path` while the block runs; the file is made, and stays.

    shared:  other shared locks may be held meanwhile.
    on_wait: called once where another process holds the lock, which is then waited for.
    Raises: AlreadyLocked without `on_wait` where another process holds the lock; OSError where
        the file cannot be opened or locked.
    """
    with path.open("a+b") as file:  # NFS wants reading for a shared lock, writing for the other
        _lock(file.fileno(), shared=shared, on_wait=on_wait)
        yield


def _lock(handle: int, *, shared: bool, on_wait: Callable[[], None] | None) -> None:
    if fcntl is None:
        return
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        try:
            fcntl.flock(handle, kind | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if on_wait is None:
                raise AlreadyLocked from error
            on_wait()
            fcntl.flock(handle, kind)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
