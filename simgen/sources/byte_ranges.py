"""Bytes of an image: a file, or a range of an archive. Read by offset, never unpacked."""

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from simgen.errors import SourceError

_LOCAL = struct.Struct("<4s5H3I2H")  # a zip member's local header


@dataclass(frozen=True, slots=True)
class File:
    """A whole file."""

    path: Path

    def read(self) -> bytes:
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise SourceError(f"cannot read {self.path}: {error.strerror or error}") from error

    def start(self) -> bytes:
        """The first bytes, which name the format."""
        try:
            with self.path.open("rb", buffering=0) as file:
                return file.read(8)
        except OSError as error:
            raise SourceError(f"cannot read {self.path}: {error.strerror or error}") from error


@dataclass(frozen=True, slots=True)
class Slice:
    """Plain bytes inside a file: a tar's member."""

    path: Path
    offset: int
    size: int

    def read(self) -> bytes:
        return read_at(self.path, self.offset, self.size)


@dataclass(frozen=True, slots=True)
class Zipped:
    """A zip's member, as its central directory describes it."""

    path: Path
    header: int  # offset of the local header
    packed: int  # bytes in the file
    size: int  # bytes once unpacked
    crc: int
    deflated: bool

    def read(self) -> bytes:
        raw = read_at(self.path, self.header, _LOCAL.size)
        magic, *_, name_length, extra_length = _LOCAL.unpack(raw)
        if magic != b"PK\x03\x04":
            raise SourceError(f"{self.path.name}: no member begins at {self.header}; damaged zip")
        start = self.header + _LOCAL.size + name_length + extra_length
        data = read_at(self.path, start, self.packed)
        if self.deflated:
            data = self._inflated(data)
        if len(data) != self.size or zlib.crc32(data) != self.crc:
            raise SourceError(f"{self.path.name}: its checksum does not fit; damaged zip")
        return data

    def _inflated(self, packed: bytes) -> bytes:
        # One byte more than declared is enough to know that the declaration lies.
        try:
            data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, self.size + 1)
        except zlib.error as error:
            raise SourceError(f"{self.path.name}: does not inflate: {error}") from error
        if len(data) > self.size:
            raise SourceError(f"{self.path.name}: inflates to more than its {self.size} bytes")
        return data


def read_at(path: Path, offset: int, size: int) -> bytes:
    """Exactly `size` bytes; SourceError if the file cannot be read or ends before."""
    try:
        with path.open("rb", buffering=0) as file:
            file.seek(offset)
            data = file.read(size)
    except (OSError, OverflowError, ValueError) as error:
        raise SourceError(f"cannot read {path}: {error}") from error
    if data is None or len(data) != size:
        raise SourceError(f"{path.name}: truncated: {size} bytes expected at {offset}")
    return data
