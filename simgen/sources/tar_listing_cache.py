"""Listings of large tars, kept for the next build.

A tar has no directory: listing ImageNet's 138 GB means a million small reads, in each task of
an array. Kept in PANPRIOR_CACHE (default: panprior in the user's cache folder), one file an
archive, named by its path, size and time of change; a stale or damaged one is made again.
"""

import hashlib
import zipfile
from array import array
from pathlib import Path

import numpy as np

from shards.atomic_write import whole_file
from shards.cache import cache_folder

LEAST = 1 << 30  # bytes: a smaller archive is walked every time

Member = tuple[str, int, int, int]  # name, offset, size, stamp


def recall(path: Path) -> list[Member] | None:
    """The members of a tar, if an earlier walk was kept."""
    kept = _place(path)
    if kept is None or not kept.is_file():
        return None
    try:
        with kept.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            numbers, names = file["numbers"], file["names"].tobytes()
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    found = names.decode("utf-8", "surrogateescape").split("\0")
    if numbers.ndim != 2 or numbers.shape != (len(found), 3):
        return None
    size = path.stat().st_size
    if (numbers[:, :2] < 0).any() or (numbers[:, :2].sum(1) > size).any():
        return None
    return [(name, *row) for name, row in zip(found, numbers.tolist(), strict=True)]


def keep(path: Path, members: list[Member]) -> None:
    """Best effort: where nothing can be kept, the next walk is as long as this one."""
    kept = _place(path)
    if kept is None or not members:
        return
    names = "\0".join(name for name, *_ in members).encode("utf-8", "surrogateescape")
    flat = array("q", (number for _, *numbers in members for number in numbers))
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(kept) as file:
            np.savez(
                file,
                numbers=np.frombuffer(flat, np.int64).reshape(-1, 3),
                names=np.frombuffer(names, np.uint8),
            )
    except OSError:
        return


def _place(path: Path) -> Path | None:
    status = path.stat()
    if status.st_size < LEAST:
        return None
    version = f"{path.resolve()} {status.st_size} {status.st_mtime_ns}"
    digest = hashlib.sha256(version.encode("utf-8", "surrogateescape")).hexdigest()
    return cache_folder() / f"{digest}.npz"
