"""Builds from and to anywhere: each file is checked before it gets its name.

Pull reads the manifest first and names it last; push writes it last. So a folder or a
place without a manifest is unfinished, and the same call goes on with it.
"""

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from shards.atomic_write import TEMPORARY_PREFIX, publish, sweep_temporaries, whole_file
from shards.errors import ContractError, SharingError
from shards.index import WIDS_NAME, wids_index
from shards.locking import AlreadyLocked, file_lock
from shards.manifest import NAME, Manifest, file_sha256
from shards.stores import Dropped, Store, open_store

CLAIM = "push.json"  # at the remote while a push is unfinished: whose files lie there
MAX_MANIFEST = 1 << 28
TRIES = 5  # in a row without a byte
PAUSE = 0.25  # seconds before the second try; doubles

Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class _File:
    """One file that a manifest lists. An index's size is not listed, but bounded."""

    name: str
    sha256: str
    size: int | None
    most: int


def _files(manifest: Manifest) -> Iterator[_File]:
    for row in manifest.shards:
        yield _File(name=row.name, sha256=row.sha256, size=row.bytes, most=row.bytes)
        most = 64 + 2048 * row.samples
        yield _File(name=row.index_name, sha256=row.index_sha256, size=None, most=most)


def read_manifest(store: Store) -> Manifest:
    """Raises: SharingError, ContractError."""
    for again in (True, False):
        data = b""
        for block in read_persistently(store, NAME, 0):
            data += block
            if len(data) > MAX_MANIFEST:
                raise SharingError(f"{store.shown}/{NAME} exceeds {MAX_MANIFEST} bytes")
        try:
            return Manifest.parse(data, f"{store.shown}/{NAME}")
        except ContractError:
            if not again:  # a connection closed early looks like the end
                raise
    raise AssertionError  # the loop returns or raises


def _next_try(failures: int, tries: int) -> int:
    """Wait before the next try; re-raise the present error after too many."""
    if failures + 1 >= tries:
        raise  # noqa: PLE0704 - called while one is handled
    time.sleep(PAUSE * 2**failures)
    return failures + 1


def pull(
    url: str, folder: Path, *, digest: str | None = None, jobs: int = 4, tell: Tell = lambda _: None
) -> Manifest:
    """Copy a build into `folder`. Finished files are kept, begun ones continued.

    Raises: SharingError, ContractError. What came whole stays; the same call goes on.
    """
    store = open_store(url)
    manifest = read_manifest(store)
    if digest is not None and manifest.digest != digest:
        raise ContractError(
            f"{store.shown} holds manifest {manifest.digest[:12]}; expected {digest[:12]}"
        )
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        missing = [file for file in _files(manifest) if not _is_here(file, folder)]
        _refuse_strangers(manifest, folder, missing)
        _refuse_a_full_disk(folder, missing)
        total = len(manifest.shards) * 2
        tell(f"{total - len(missing)} of {total} files are here already")
        _each(lambda file: _fetch(store, file, folder), missing, jobs, tell)
        with whole_file(folder / WIDS_NAME) as wids:
            wids.write(wids_index(f"{manifest.source}-{manifest.recipe}", manifest.shards))
        manifest.dump(folder)
        sweep_temporaries(folder)
    return manifest


def push(folder: Path, url: str, *, jobs: int = 4, tell: Tell = lambda _: None) -> Manifest:
    """Copy a finished build to a place of its own. Files that are there are kept.

    Raises: SharingError, ContractError if the build here is not what its manifest lists.
    """
    manifest = Manifest.load(folder)
    manifest.check(folder)
    store = open_store(url)
    _claim(store, manifest)

    def send(file: _File) -> None:
        path = folder / file.name
        if store.size(file.name) == path.stat().st_size:
            return
        failures = 0
        while True:
            try:
                store.write(file.name, path)
                break
            except Dropped:
                failures = _next_try(failures, TRIES)
        if store.size(file.name) != path.stat().st_size:
            raise SharingError(f"{store.shown}/{file.name} did not arrive whole; push again")

    _each(send, list(_files(manifest)), jobs, tell)
    with tempfile.TemporaryDirectory() as scratch:
        own = Path(scratch)
        (own / WIDS_NAME).write_bytes(
            wids_index(f"{manifest.source}-{manifest.recipe}", manifest.shards)
        )
        manifest.dump(own)
        for name in (WIDS_NAME, NAME):
            store.write(name, own / name)
    store.remove(CLAIM)
    return manifest


def verify(url: str, *, jobs: int = 4, tell: Tell = lambda _: None) -> Manifest:
    """Read every file of a build, here or elsewhere, and compare it with the manifest.

    Raises: ContractError naming each file that is not as listed.
    """
    if "://" not in url:
        manifest = Manifest.load(Path(url))
        manifest.check(Path(url))
        return manifest
    store = open_store(url)
    manifest = read_manifest(store)

    def check(file: _File) -> None:
        hasher, size = hashlib.sha256(), 0
        for block in read_persistently(store, file.name, 0):
            hasher.update(block)
            size += len(block)
            if size > file.most:
                break
        problem = _problem(file, size, hasher.hexdigest())
        if problem:
            raise ContractError(problem)

    _each(check, list(_files(manifest)), jobs, tell)
    return manifest


def _claim(store: Store, manifest: Manifest) -> None:
    """Make the place ours. Equal sizes say nothing about two builds: tars of a kind are as long."""
    other = "give each build a place of its own"
    if store.size(NAME) is not None:
        held = read_manifest(store)
        if held.digest != manifest.digest:
            raise SharingError(f"{store.shown} holds build {held.digest[:12]}; {other}")
    elif store.size(CLAIM) is not None:
        try:
            holder = json.loads(b"".join(store.read(CLAIM)))["manifest"]
        except (ValueError, KeyError, TypeError):
            holder = "unknown"
        if holder != manifest.digest:
            raise SharingError(f"{store.shown} holds half of build {str(holder)[:12]}; {other}")
    elif any(store.size(row.name) is not None for row in manifest.shards[:1]):
        raise SharingError(f"{store.shown} holds shards of unknown origin; {other}")
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / CLAIM
        path.write_text(json.dumps({"manifest": manifest.digest}) + "\n")
        store.write(CLAIM, path)


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
            failures = _next_try(failures, tries)


def _fetch(store: Store, file: _File, folder: Path) -> None:
    # Named after its hash: what was begun of another build is not continued.
    partial = folder / f"{TEMPORARY_PREFIX}{file.sha256[:16]}-{file.name}"
    problem = ""
    for _ in range(2):  # a byte that flipped on its way comes right the second time
        _continue(store, file, partial)
        size = partial.stat().st_size
        problem = _problem(file, size, file_sha256(partial))
        if not problem:
            publish(partial, folder / file.name)
            return
        if file.size is not None and size < file.size:
            break  # what came may be right: kept for the next call
        partial.unlink()
    raise ContractError(f"{store.shown}: {problem}")


def _continue(store: Store, file: _File, partial: Path) -> None:
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


def _problem(file: _File, size: int, sha256: str) -> str:
    if file.size is not None and size != file.size:
        longer = "more" if size > file.size else str(size)
        return f"{file.name}: expected {file.size} bytes, got {longer} (truncated or altered)"
    if sha256 != file.sha256:
        return f"{file.name}: expected sha256 {file.sha256[:12]}, got {sha256[:12]} (altered)"
    return ""


def _is_here(file: _File, folder: Path) -> bool:
    path = folder / file.name
    return (
        path.is_file()
        and file.size in (None, path.stat().st_size)
        and file_sha256(path) == file.sha256
    )


def _refuse_strangers(manifest: Manifest, folder: Path, missing: list[_File]) -> None:
    """Nobody's files are overwritten; a damaged copy of this very build is repaired."""
    if (folder / NAME).exists():
        held = Manifest.load(folder).digest
        if held != manifest.digest:
            raise SharingError(
                f"{folder} holds build {held[:12]}, not {manifest.digest[:12]}; give another folder"
            )
        return
    listed = {row.name for row in manifest.shards}
    wrong = {file.name for file in missing if (folder / file.name).exists()}
    strange = sorted(wrong | {p.name for p in folder.glob("[!.]*.tar")} - listed)
    if strange:
        raise SharingError(f"{folder} holds {strange[0]} of another origin; give an empty folder")


def _refuse_a_full_disk(folder: Path, missing: list[_File]) -> None:
    begun = sum(p.stat().st_size for p in folder.glob(f"{TEMPORARY_PREFIX}*"))
    needed = sum(file.size or 0 for file in missing) - begun
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise SharingError(
            f"{folder} has {free / 1e6:.0f} MB free; {needed / 1e6:.0f} MB are to come"
        )


def _each(work: Callable[[_File], None], files: Iterable[_File], jobs: int, tell: Tell) -> None:
    """All files, some at a time; what fails is told at the end, together."""
    listed = list(files)
    failed: list[str] = []
    kind: type[ContractError | SharingError] = SharingError

    def attempt(file: _File) -> tuple[_File, ContractError | SharingError | None]:
        try:
            work(file)
        except (ContractError, SharingError) as error:
            return file, error
        return file, None

    with ThreadPoolExecutor(max(1, jobs)) as pool:
        try:
            for done, (file, error) in enumerate(pool.map(attempt, listed), 1):
                if error is None:
                    tell(f"{file.name}: whole ({done} of {len(listed)})")
                else:
                    failed.append(str(error))
                    kind = type(error) if isinstance(error, ContractError) else kind
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    if failed:
        raise kind(
            f"{len(failed)} of {len(listed)} files failed:\n  " + "\n  ".join(failed[:10])
            + "\n  do: run the same command again; what is whole is kept"
        )  # fmt: skip


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    with ExitStack() as held:
        try:
            held.enter_context(file_lock(folder / ".lock"))
        except AlreadyLocked as error:
            raise SharingError(f"something else is writing to {folder}; wait for it") from error
        yield
