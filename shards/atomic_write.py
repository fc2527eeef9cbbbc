"""Files that are whole or absent: temporary name in the same folder, fsync, rename.

A link is written through: what it leads to is replaced, in its own folder.
"""

import os
import re
import secrets
import shutil
import socket
import stat
import time
import zlib
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from shards.errors import OutputError

TEMPORARY_PREFIX = ".part-"
_MOST_LINKS = 40  # one to the next, as Linux has it
_QUIET = 60  # seconds without a write, after which a dead process's leftover is one
_in_use: set[str] = set()  # names that this process made, so that none of its own is taken away
_swept: set[Path] = set()  # folders in which this process looked for leftovers


def target_of(path: Path) -> Path:
    """`path`, or the file that it links to, be it there or not.

    Raises: OutputError if links lead back to each other, or one is another user's in a folder that
        all may write to, as /tmp: it may lead anywhere.
    """
    at = path
    for _ in range(_MOST_LINKS):
        if not at.is_symlink():
            return at
        if _is_planted(at):
            raise OutputError(
                f"cannot write {path}: {at} is a link that another user made in a folder of all; "
                "give another name"
            )
        at = at.parent / at.readlink()
    raise OutputError(
        f"cannot write {path}: it is a link that leads back to itself; remove it, or give another "
        "name"
    )


def _is_planted(link: Path) -> bool:
    """By the rule of Linux's protected_symlinks, which a rename does not go by."""
    of_all = stat.S_ISVTX | stat.S_IWOTH
    if link.parent.stat().st_mode & of_all != of_all or not hasattr(os, "geteuid"):
        return False
    return _owner(link) not in (os.geteuid(), _owner(link.parent))


def _owner(path: Path) -> int:
    return path.lstat().st_uid


def temporary_path(path: Path) -> Path:
    """A new name beside `path`, or its target, that no reader takes for a finished file.

    It names the host and the process, and ends in random digits and the file's name: a process
    that was killed and comes again under its old number finds no file in its way. What killed
    processes left in the folder is removed, once a process and folder.
    """
    path = target_of(path)
    folder = path.parent.absolute()
    if folder not in _swept:
        _swept.add(folder)
        _remove_dead(folder, ".+")
    name = f"{_mark()}-{os.getpid()}-{secrets.token_hex(4)}-{path.name}"
    _in_use.add(name)
    return path.with_name(name)


def check_replaceable(path: Path) -> None:
    """Raises: OutputError if there is anything but a regular file, or a link that is written
    through (target_of), under that name.

    A rename would put a file in the place of a device: as root, of /dev/null.
    """
    target_of(path)
    if path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "a device, a FIFO or a socket"
        raise OutputError(
            f"cannot write {path}: it is {kind}; give the name of a regular file, or a new one"
        )


def check_place(path: Path) -> None:
    """Of a file, before work begins.

    Raises: OutputError as check_replaceable; if its folder is not there or may not be written to.
    """
    check_replaceable(path)
    target = target_of(path)
    folder = target.absolute().parent
    if not folder.is_dir():
        linked = "" if target == path else f"it links to {target}, and "
        raise OutputError(
            f"cannot write {path}: {linked}there is no folder {target.parent}; make it first"
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write {path}: {folder} may not be written to; give another")


def check_folder(folder: Path, names: Iterable[str] = ()) -> None:
    """Of a folder that is made if it is not there, before work begins.

    Raises: OutputError if it is no folder, or may not be made or written to, or a file of `names`
        cannot be replaced.
    """
    there = next((p for p in (folder, *folder.absolute().parents) if os.path.lexists(p)), folder)
    if not there.is_dir():
        above = "it" if there == folder else str(there)
        raise OutputError(
            f"cannot write into {folder}: {above} is no folder; give a folder, or a new name"
        )
    if not os.access(there, os.W_OK | os.X_OK):
        raise OutputError(
            f"cannot write into {folder}: {there} may not be written to; give another"
        )
    for name in names:
        check_replaceable(folder / name)


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A binary file that appears under `path` only when the block ends without an error.

    Raises: OutputError if there is anything but a regular file under that name.
    """
    check_replaceable(path)
    temporary = temporary_path(path)
    try:
        with temporary.open("xb") as file:  # x: not through a link that somebody put there
            yield file
            file.flush()
            os.fsync(file.fileno())
        publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
        _in_use.discard(temporary.name)


def publish(temporary: Path, path: Path, *, through_links: bool = True) -> None:
    """Give a finished, synced file its name, and make the name itself durable.

    `temporary`: on the file system of `path`, or its target. Without `through_links` a link is
    replaced.
    Raises: OutputError if there is anything but a regular file under that name.
    """
    check_replaceable(path)
    path = target_of(path) if through_links else path
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def remove_leftovers(path: Path) -> None:
    """Remove what killed processes of this host left beside `path` while they wrote it.

    Theirs are those of this process's own number that it did not make, and those of a number
    that no process has.
    """
    path = target_of(path)
    _remove_dead(path.parent, re.escape(path.name))


def _remove_dead(folder: Path, target: str) -> None:
    """`target`: an expression for the names of the files that were to be written."""
    form = re.compile(rf"{re.escape(_mark())}-(\d+)-(?:[0-9a-f]{{8}}-)?{target}", re.DOTALL)
    try:
        names = [entry.name for entry in folder.iterdir()]
    except OSError:  # the writing that follows says so
        return
    for name in names:
        match = form.fullmatch(name)
        if match is None or name in _in_use:
            continue
        left = folder / name
        if int(match[1]) == os.getpid() or _is_dead(int(match[1]), left):
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)


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


def _mark() -> str:
    host = zlib.crc32(socket.gethostname().encode())  # nodes that share a folder share no pids
    return f"{TEMPORARY_PREFIX}{host:08x}"


def _is_dead(process: int, left: Path) -> bool:
    """Whether no process of that number is here, nor, on another host of this name, at work."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        pass
    except OSError:  # alive, and another user's
        return False
    else:
        return False
    try:
        times = [entry.stat().st_mtime for entry in (left, *left.glob("*"))]
    except OSError:
        return False
    return max(times) < time.time() - _QUIET
