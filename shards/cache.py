"""Builds at URLs, copied once to this machine and checked on the way: see transfer.py.

All of a build is there before anything is read: training takes its samples in an order mixed
over all shards, so that its first few hundred batches want every one of them.
"""

import os
from pathlib import Path

from shards.errors import SharingError
from shards.locking import file_lock
from shards.manifest import NAME, Manifest
from shards.stores import open_store
from shards.transfer import Report, pull, read_manifest


def cache_folder(kind: str = "") -> Path:
    """`$PANPRIOR_CACHE`, else panprior/`kind` in the user's cache folder (XDG's, ~/.cache)."""
    if given := os.environ.get("PANPRIOR_CACHE"):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "panprior" / kind


def default_cache() -> Path:
    """Where copies of builds lie unless a command is given another folder."""
    return cache_folder("shards")


def local_copy(url: str, cache: Path, *, jobs: int = 4, report: Report = lambda _: None) -> Path:
    """A folder below `cache`, named after its manifest, that holds the build at `url` whole.

    Processes that ask for the same build wait for the one that fetches it; a copy that is here
    is taken if its files have their sizes, and repaired if not. Raises: SharingError,
    ContractError. What came whole stays; the same call goes on.
    """
    manifest = read_manifest(open_store(url))
    folder = cache / manifest.digest[:24]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        waiting = f"another process fetches {folder.name}; waiting for it"
        with file_lock(cache / f"{folder.name}.lock", on_wait=lambda: report(waiting)):
            if not _is_whole(folder, manifest):
                pull(url, folder, digest=manifest.digest, jobs=jobs, report=report)
    except OSError as error:
        raise SharingError(
            f"cannot keep shards in {cache}: {error.strerror or error}\n"
            "  do: give another folder (`cache`), or free this one"
        ) from error
    return folder


def _is_whole(folder: Path, manifest: Manifest) -> bool:
    if not (folder / NAME).is_file():  # named last
        return False
    return not any(manifest.problems(folder, hashes=False))
