"""One file from a store: read over connections that break, checked before it gets its name."""

import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from shards.atomic_write import TEMPORARY_PREFIX, publish
from shards.errors import ContractError, SharingError
from shards.manifest import Manifest, file_sha256
from shards.stores import Dropped, Store

TRIES = 5  # in a row without PROGRESS
PROGRESS = 1 << 16  # bytes: a connection that brings fewer before it breaks has failed
PAUSE = 0.25  # seconds before the second try; doubles


@dataclass(frozen=True, kw_only=True, slots=True)
class ListedFile:
    """One file that a manifest lists. An index's size is not listed, but bounded."""

    name: str
    sha256: str
    size: int | None
    most: int


def listed_files(manifest: Manifest) -> Iterator[ListedFile]:
    for row in manifest.shards:
        yield ListedFile(name=row.name, sha256=row.sha256, size=row.bytes, most=row.bytes)
        # A line of the index takes far less than its sample in the tar, whatever a manifest claims.
        most = min(64 + 2048 * row.samples, max(row.bytes, 64))
        yield ListedFile(name=row.index_name, sha256=row.index_sha256, size=None, most=most)


def next_try(failures: int, tries: int) -> int:
    """Wait before the next try; re-raise the present error after too many."""
    if failures + 1 >= tries:
        raise  # noqa: PLE0704 - called while one is handled
    time.sleep(PAUSE * 2**failures)
    return failures + 1


def read_persistently(
    store: Store, name: str, start: int, *, tries: int = TRIES
) -> Iterator[bytes]:
    """All bytes from `start` on, over connections that break.

    Raises: SharingError; Dropped after `tries` in a row that brought less than PROGRESS.
    """
    failures = 0
    while True:
        before = start
        try:
            for block in store.read(name, start):
                start += len(block)
                yield block
            return
        except Dropped:
            failures = next_try(0 if start - before >= PROGRESS else failures, tries)


def fetch(store: Store, file: ListedFile, folder: Path) -> None:
    # Named after its hash: what was begun of another build is not continued.
    partial = folder / f"{TEMPORARY_PREFIX}{file.sha256[:16]}-{file.name}"
    problem = ""
    for _ in range(2):  # a byte that flipped on its way comes right the second time
        _continue(store, file, partial)
        size = partial.stat().st_size
        problem = problem_of(file, size, file_sha256(partial))
        if not problem:
            publish(partial, folder / file.name, through_links=False)  # a name of the network's
            return
        if file.size is not None and size < file.size:
            break  # what came may be right: kept for the next call
        partial.unlink()
    raise ContractError(f"{store.shown}: {problem}")


def _continue(store: Store, file: ListedFile, partial: Path) -> None:
    """Until the file has its listed size, or the server says twice that there is no more."""
    with _appended(partial) as data:
        while data.tell() < file.most:
            before = data.tell()
            for block in read_persistently(store, file.name, before):
                data.write(block)
                if data.tell() > file.most:
                    break
            # A connection closed early looks like the end, so only the size tells.
            if file.size is None or data.tell() == before:
                break
        data.flush()
        os.fsync(data.fileno())


def _appended(partial: Path) -> BinaryIO:
    """Open to go on with it; not through a link that somebody put there."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    try:
        handle = os.open(partial, flags | getattr(os, "O_NONBLOCK", 0), 0o666)
    except OSError as error:
        raise SharingError(f"cannot write {partial}: {error.strerror}; delete it") from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise SharingError(f"cannot write {partial}: it is no regular file; delete it")
    return open(handle, "ab")  # noqa: PTH123 - of a handle; the caller closes it


def problem_of(file: ListedFile, size: int, sha256: str) -> str:
    if file.size is not None and size != file.size:
        longer = "more" if size > file.size else str(size)
        return f"{file.name}: expected {file.size} bytes, got {longer} (truncated or altered)"
    if sha256 != file.sha256:
        return f"{file.name}: expected sha256 {file.sha256[:12]}, got {sha256[:12]} (altered)"
    return ""


def is_here(file: ListedFile, folder: Path) -> bool:
    path = folder / file.name
    return (
        path.is_file()
        and file.size in (None, path.stat().st_size)
        and file_sha256(path) == file.sha256
    )
