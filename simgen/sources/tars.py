"""Tars of images: WebDataset shards, or any other; read by offset."""

import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from simgen.errors import SourceError
from simgen.sources.source import Source, SourceOptions, is_image, licence_beside
from simgen.sources.table import Table
from simgen.sources.tar_listing_cache import Member, keep, recall

_MAX_HEADER = 1 << 20
# What tarfile raises on headers that lie.
_DAMAGE = (tarfile.TarError, ValueError, OverflowError, EOFError)


def open_tar(options: SourceOptions) -> Source:
    """One tar, a folder of tars, or a glob such as /data/train-*.tar, sorted by name."""
    root = options.only_root("tar")
    table = Table()
    for path in find_archives(root, "tar"):
        list_tar(table, path)
    if not len(table):
        raise SourceError(f"no images in the tars of {root.absolute()}")
    table.finish(contents=True)
    return Source(
        name="tar",
        licence=licence_beside(root),
        photos=table,
        digest=table.digest,
        rejected=tuple(table.rejected),
    )


def find_archives(root: Path, ending: str) -> list[Path]:
    """The archives that a path, folder or glob names, sorted; SourceError if there are none."""
    if root.is_file():
        return [root]
    if root.is_dir():
        found = sorted(root.glob(f"*.{ending}"))
    else:
        found = sorted(p for p in root.parent.glob(root.name) if p.is_file())
    if not found:
        raise SourceError(
            f"no .{ending} files at {root.absolute()}\n"
            f"  do: point `root` at one, at a folder of them, or at a quoted glob"
        )
    return found


def list_tar(table: Table, path: Path, keep: Callable[[str], bool] = lambda _: True) -> None:
    """Add the images of a tar; what breaks off inside is named, the whole members before stay."""
    with opened(path) as file:
        list_members(table, path, images_in(table, file, path, 0, path.stat().st_size), keep)


def list_members(
    table: Table,
    path: Path,
    walked: Iterator[Member],
    wanted: Callable[[str], bool] = lambda _: True,
) -> None:
    """Add what a walk through an archive finds, or found when it was last walked, if `wanted`."""
    table.open_archive(path)
    members = recall(path)
    if members is None:
        whole = len(table.rejected)
        members = list(walked)
        if len(table.rejected) == whole:
            keep(path, members)
    for name, offset, size, stamp in members:
        if wanted(name):
            table.add_slice(name, offset, size, stamp=stamp)


def images_in(
    table: Table, file: BinaryIO, path: Path, start: int, end: int, folder: str = ""
) -> Iterator[Member]:
    """The images of the tar that lies between two offsets of `file`."""
    for info in walk(table, file, path, start, end):
        if is_image(info.name):
            stamp = zlib.crc32(repr(info.mtime).encode())  # a header may claim anything, even NaN
            yield f"{folder}{info.name}", info.offset_data, info.size, stamp


def walk(
    table: Table, file: BinaryIO, path: Path, start: int, end: int
) -> Iterator[tarfile.TarInfo]:
    """The regular files of the tar that lies between two offsets of `file`.

    Raises: SourceError if no tar begins there.
    """
    file.seek(start)
    try:
        headers: Any = _Headers(file)
        tar = tarfile.TarFile(fileobj=headers, mode="r")
    except _DAMAGE as error:
        raise SourceError(f"{path} is no uncompressed tar: {error}") from error
    last = "its first member"
    while True:
        try:
            info = tar.next()
        except _DAMAGE as error:
            table.reject("end of archive", f"{path.name} breaks off after {last}: {error}")
            return
        if info is None:
            return
        tar.members.clear()  # type: ignore[attr-defined]  # else a million stay in memory
        if not info.isreg() or info.issparse():
            continue
        if not 0 <= info.size <= end - info.offset_data:
            table.reject(info.name, f"{path.name} is truncated inside it")
            return
        last = repr(info.name)
        yield info


class _Headers:
    """A file of which nothing but headers is read: a name of gigabytes is none."""

    def __init__(self, file: BinaryIO) -> None:
        self.seek, self.tell = file.seek, file.tell
        self._read = file.read

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _MAX_HEADER:
            raise tarfile.ReadError(f"a header claims {size} bytes")
        return self._read(size)


def opened(path: Path) -> BinaryIO:
    """The file, or SourceError."""
    try:
        return path.open("rb")
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror or error}") from error
