"""The listing of archives with millions of members, in tens of bytes a member."""

import hashlib
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import overload

from shards.manifest import Rejected
from simgen.sources.byte_ranges import Slice, Zipped
from simgen.sources.source import READ_WHOLE, ByteRange, Photo, checksum, safe_key

_PLAIN, _STORED, _DEFLATED = range(3)


class Table(Sequence[Photo]):
    """Members in the order in which they were added; made into Photos when asked for."""

    def __init__(self) -> None:
        self._archives: list[Path] = []
        self._names = bytearray()  # keys, one after the other
        self._ends = array("q")
        self._archive, self._kind = array("I"), array("B")
        self._offset, self._packed, self._size = array("q"), array("q"), array("q")
        self._stamp = array("Q")
        self._known: set[int] = set()
        self._hasher = hashlib.sha256()
        self.rejected: list[Rejected] = []

    def open_archive(self, path: Path) -> None:
        """What is added from now on lies in this file."""
        self._archives.append(path)
        self._hasher.update(f"archive {path.name}\n".encode("utf-8", "surrogateescape"))

    def add_slice(self, name: str, offset: int, size: int, *, stamp: int) -> None:
        self._add(name, _PLAIN, offset, size, size, stamp)

    def add_zipped(
        self, name: str, header: int, packed: int, size: int, *, crc: int, deflated: bool
    ) -> None:
        self._add(name, _DEFLATED if deflated else _STORED, header, packed, size, crc)

    def reject(self, name: str, reason: str) -> None:
        self.rejected.append(Rejected(source=self._key(name), reason=reason))

    def finish(self, *, contents: bool) -> None:
        """No more is added. `contents`: know a small listing by its bytes too, for formats
        that keep no checksum.
        """
        self._known = set()
        if contents and sum(self._size) <= READ_WHOLE:
            for photo in self:
                self._hasher.update(checksum(photo).to_bytes(4))

    @property
    def digest(self) -> str:
        return self._hasher.hexdigest()

    def _key(self, name: str) -> str:
        return safe_key(f"{self._archives[-1].stem}/{name}")

    def _add(self, name: str, kind: int, offset: int, packed: int, size: int, stamp: int) -> None:
        key = self._key(name).encode("ascii")
        # 64 bits of a hash that is the same in every process, as Python's own is not: every task of
        # an array must refuse the same names, should two of millions ever share a mark.
        mark = int.from_bytes(hashlib.blake2b(key, digest_size=8).digest())
        if mark in self._known:
            self.reject(name, "a second member of this name")
            return
        self._known.add(mark)
        self._names += key
        self._ends.append(len(self._names))
        self._archive.append(len(self._archives) - 1)
        self._kind.append(kind)
        self._offset.append(offset)
        self._packed.append(packed)
        self._size.append(size)
        self._stamp.append(stamp)
        self._hasher.update(b"%s %d %d %d\n" % (key, size, packed, stamp))

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, index: int) -> Photo: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Photo]: ...
    def __getitem__(self, index: int | slice) -> Photo | Sequence[Photo]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        i = range(len(self))[index]
        start = self._ends[i - 1] if i else 0
        key = self._names[start : self._ends[i]].decode("ascii")
        return Photo(key=key, size=self._size[i], place=self._place(i))

    def __iter__(self) -> Iterator[Photo]:
        return (self[i] for i in range(len(self)))

    def _place(self, i: int) -> ByteRange:
        path, offset = self._archives[self._archive[i]], self._offset[i]
        if self._kind[i] == _PLAIN:
            return Slice(path, offset, self._size[i])
        return Zipped(
            path,
            offset,
            self._packed[i],
            self._size[i],
            crc=self._stamp[i],
            deflated=self._kind[i] == _DEFLATED,
        )
