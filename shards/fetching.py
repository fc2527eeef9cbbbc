"""One file from a store: read over connections that break, checked before it gets its name."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from shards.atomic_write import TEMPORARY_PREFIX, publish
from shards.errors import ContractError
from shards.manifest import Manifest, file_sha256
from shards.stores import Dropped, Store

TRIES = 5  # in a row without a byte
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
        most = 64 + 2048 * row.samples
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

    Raises: SharingError; Dropped after `tries` in a row without a byte.
    """
    failures = 0
    while True:
        try:
            for block in store.read(name, start):
                start, failures = start + len(block), 0
                yield block
            return
        except Dropped:
            failures = next_try(failures, tries)


def fetch(store: Store, file: ListedFile, folder: Path) -> None:
    # Named after its hash: what was begun of another build is not continued.
    partial = folder / f"{TEMPORARY_PREFIX}{file.sha256[:16]}-{file.name}"
    problem = ""
    for _ in range(2):  # a byte that flipped on its way comes right the second time
        _continue(store, file, partial)
        size = partial.stat().st_size
        problem = problem_of(file, size, file_sha256(partial))
        if not problem:
            publish(partial, folder / file.name)
            return
        if file.size is not None and size < file.size:
            break  # what came may be right: kept for the next call
        partial.unlink()
    raise ContractError(f"{store.shown}: {problem}")


def _continue(store: Store, file: ListedFile, partial: Path) -> None:
    """Until the file has its listed size, or the server says twice that there is no more."""
    with partial.open("ab") as data:
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
