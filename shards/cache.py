"""Builds at URLs, copied once to this machine and checked on the way: see transfer.py.

All of a build is there before anything is read: training takes its samples in an order mixed
over all shards, so that its first few hundred batches want every one of them.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shards.errors import SharingError
from shards.manifest import NAME, Manifest
from shards.stores import open_store
from shards.transfer import Tell, pull, read_manifest


def default_cache() -> Path:
    """`$PANPRIOR_CACHE`, else panprior/shards in the user's cache folder."""
    if told := os.environ.get("PANPRIOR_CACHE"):
        return Path(told)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "panprior" / "shards"


def local_copy(url: str, cache: Path, *, jobs: int = 4, tell: Tell = lambda _: None) -> Path:
    """A folder below `cache`, named after its manifest, that holds the build at `url` whole.

    Processes that ask for the same build wait for the one that fetches it; a copy that is here
    is taken if its files have their sizes, and repaired if not. Raises: SharingError,
    ContractError. What came whole stays; the same call goes on.
    """
    manifest = read_manifest(open_store(url))
    folder = cache / manifest.digest[:24]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _waiting(cache / f"{folder.name}.lock", tell):
            if not _is_whole(folder, manifest):
                pull(url, folder, digest=manifest.digest, jobs=jobs, tell=tell)
    except OSError as error:
        raise SharingError(
            f"cannot keep shards in {cache}: {error.strerror or error}\n"
            "  do: give another folder (--cache), or free this one"
        ) from error
    return folder


def _is_whole(folder: Path, manifest: Manifest) -> bool:
    if not (folder / NAME).is_file():  # named last
        return False
    return not any(manifest.problems(folder, hashes=False))


@contextmanager
def _waiting(path: Path, tell: Tell) -> Iterator[None]:
    with path.open("ab") as claim:
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell(f"another process fetches {path.stem}; waiting for it")
            fcntl.flock(claim, fcntl.LOCK_EX)
        except OSError:
            pass  # a file system without locks: the slower one repeats what is not yet named
        yield
