"""Files that are whole or absent: temporary name in the same folder, fsync, rename."""

import os
import socket
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

TEMPORARY_PREFIX = ".part-"


def temporary_path(path: Path) -> Path:
    """A name beside `path` that no reader takes for a finished file, one per process and host."""
    host = zlib.crc32(socket.gethostname().encode())  # nodes that share a folder share no pids
    return path.with_name(f"{TEMPORARY_PREFIX}{host:08x}-{os.getpid()}-{path.name}")


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A binary file that appears under `path` only when the block ends without an error."""
    temporary = temporary_path(path)
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def publish(temporary: Path, path: Path) -> None:
    """Give a finished, synced file its name, and make the name itself durable."""
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def sweep_temporaries(folder: Path, names: Collection[str] | None = None) -> int:
    """Remove what killed processes left in `folder`; the number of files removed.

    `names` leaves alone what was to become another file: it may be another process's.
    """
    ours = ("",) if names is None else tuple(f"-{name}" for name in names)
    left = [
        p
        for p in folder.iterdir()
        if p.name.startswith(TEMPORARY_PREFIX) and p.name.endswith(ours) and p.is_file()
    ]
    for path in left:
        path.unlink(missing_ok=True)
    return len(left)
