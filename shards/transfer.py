"""Builds from and to anywhere: each file is checked before it gets its name.

Pull reads the manifest first and names it last; push writes it last. So a folder or a
place without a manifest is unfinished, and the same call goes on with it.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from shards.atomic_write import TEMPORARY_PREFIX, check_folder, sweep_temporaries, whole_file
from shards.bounded_reading import parse_json
from shards.errors import ContractError, SharingError
from shards.fetching import (
    TRIES,
    ListedFile,
    fetch,
    is_here,
    listed_files,
    next_try,
    problem_of,
    read_persistently,
)
from shards.index import WIDS_NAME, wids_index
from shards.locking import AlreadyLocked, file_lock
from shards.manifest import MAX_MANIFEST, NAME, Manifest
from shards.stores import Dropped, Store, open_store

CLAIM = "push.json"  # at the remote while a push is unfinished: whose files lie there
GIVE_UP = 20  # files that fail in a row: the others would too
MAX_CLAIM = 1 << 16

Report = Callable[[str], None]


def read_manifest(store: Store) -> Manifest:
    """Raises: SharingError, ContractError."""
    for again in (True, False):
        data = _read_small(store, NAME, MAX_MANIFEST)
        try:
            return Manifest.parse(data, f"{store.shown}/{NAME}")
        except ContractError:
            if not again:  # a connection closed early looks like the end
                raise
    raise AssertionError  # the loop returns or raises


def _read_small(store: Store, name: str, most: int) -> bytes:
    """A file of at most so many bytes: a body may have no end."""
    data = bytearray()
    for block in read_persistently(store, name, 0):
        data += block
        if len(data) > most:
            raise SharingError(f"{store.shown}/{name} exceeds {most} bytes")
    return bytes(data)


def pull(
    url: str,
    folder: Path,
    *,
    digest: str | None = None,
    jobs: int = 4,
    report: Report = lambda _: None,
) -> Manifest:
    """Copy a build into `folder`. Finished files are kept, begun ones continued.

    Raises: SharingError, ContractError. What came whole stays; the same call goes on.
    """
    check_folder(folder, (WIDS_NAME, NAME))
    store = open_store(url)
    manifest = read_manifest(store)
    if digest is not None and manifest.digest != digest:
        raise ContractError(
            f"{store.shown} holds manifest {manifest.digest[:12]}; expected {digest[:12]}"
        )
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        missing = [file for file in listed_files(manifest) if not is_here(file, folder)]
        _refuse_strangers(manifest, folder, missing)
        _refuse_a_full_disk(folder, missing)
        total = len(manifest.shards) * 2
        report(f"{total - len(missing)} of {total} files are here already")
        _each(lambda file: fetch(store, file, folder), missing, jobs, report)
        with whole_file(folder / WIDS_NAME) as wids:
            wids.write(wids_index(f"{manifest.source}-{manifest.recipe}", manifest.shards))
        manifest.dump(folder)
        sweep_temporaries(folder)
    return manifest


def push(folder: Path, url: str, *, jobs: int = 4, report: Report = lambda _: None) -> Manifest:
    """Copy a finished build to a place of its own. Files that are there are kept.

    Raises: SharingError, ContractError if the build here is not what its manifest lists.
    """
    manifest = Manifest.load(folder)
    manifest.check(folder)
    store = open_store(url)
    _claim(store, manifest)

    def send(file: ListedFile) -> None:
        path = folder / file.name
        if store.size(file.name) == path.stat().st_size:
            return
        failures = 0
        while True:
            try:
                store.write(file.name, path)
                break
            except Dropped:
                failures = next_try(failures, TRIES)
        if store.size(file.name) != path.stat().st_size:
            raise SharingError(f"{store.shown}/{file.name} did not arrive whole; push again")

    _each(send, list(listed_files(manifest)), jobs, report)
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


def verify(url: str, *, jobs: int = 4, report: Report = lambda _: None) -> Manifest:
    """Read every file of a build, here or elsewhere, and compare it with the manifest.

    Raises: ContractError naming each file that is not as listed.
    """
    if "://" not in url:
        manifest = Manifest.load(Path(url))
        manifest.check(Path(url))
        return manifest
    store = open_store(url)
    manifest = read_manifest(store)

    def check(file: ListedFile) -> None:
        hasher, size = hashlib.sha256(), 0
        for block in read_persistently(store, file.name, 0):
            hasher.update(block)
            size += len(block)
            if size > file.most:
                break
        problem = problem_of(file, size, hasher.hexdigest())
        if problem:
            raise ContractError(problem)

    _each(check, list(listed_files(manifest)), jobs, report)
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
            holder = parse_json(_read_small(store, CLAIM, MAX_CLAIM))["manifest"]
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


def _refuse_strangers(manifest: Manifest, folder: Path, missing: list[ListedFile]) -> None:
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


def _refuse_a_full_disk(folder: Path, missing: list[ListedFile]) -> None:
    begun = sum(p.stat().st_size for p in folder.glob(f"{TEMPORARY_PREFIX}*"))
    needed = sum(file.size or 0 for file in missing) - begun
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise SharingError(
            f"{folder} has {free / 1e6:.0f} MB free; {needed / 1e6:.0f} MB are to come"
        )


def _each(
    work: Callable[[ListedFile], None], files: Iterable[ListedFile], jobs: int, report: Report
) -> None:
    """All files, some at a time; failures are raised together at the end."""
    listed = list(files)
    failed: list[str] = []
    kind: type[ContractError | SharingError] = SharingError
    row = 0  # of failures

    def attempt(file: ListedFile) -> tuple[ListedFile, ContractError | SharingError | None]:
        try:
            work(file)
        except (ContractError, SharingError) as error:
            return file, error
        return file, None

    with ThreadPoolExecutor(max(1, jobs)) as pool:
        try:
            for done, (file, error) in enumerate(pool.map(attempt, listed), 1):
                if error is None:
                    report(f"{file.name}: whole ({done} of {len(listed)})")
                    row = 0
                else:
                    failed.append(str(error))
                    row += 1
                    kind = type(error) if isinstance(error, ContractError) else kind
                if row >= GIVE_UP:
                    pool.shutdown(wait=False, cancel_futures=True)
                    break
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
