"""Samples of a shard in the order of its bytes, from disk or network. The only webdataset import.

A streamed shard is read from its first byte to its last and must have the manifest's length and
sha256. Only the contract's members are decoded, by shards.schema: nothing is unpickled, whatever a
tar holds.
"""

import hashlib
import io
import tarfile
from collections.abc import Collection, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import webdataset as wds

from fusiontrain.data.crops import Sample
from fusiontrain.data.shard_file import ShardRef
from shards.errors import ContractError, PanpriorError, SharingError
from shards.fetching import read_persistently
from shards.manifest import Manifest, ShardRow
from shards.schema import ALL_NAMES, MEMBER_NAMES, decode_sample
from shards.stores import Store, open_store, shown

TRIES = 8  # of a connection, in a row without a byte: half a minute in all
_HEADER, _MAGIC = 512, slice(257, 262)  # of a tar header
_SET_BY_WEBDATASET = frozenset({"__key__", "__url__", "__local_path__"})


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamedShard:
    """A shard at a URL, and the manifest that lists it."""

    url: str  # of the build
    manifest: Manifest
    row: ShardRow

    @property
    def shown(self) -> str:
        """For messages: without credentials."""
        return f"{shown(self.url)}/{self.row.name}"


def stream_shard(shard: StreamedShard, numbers: range) -> Iterator[Sample]:
    """The samples of those numbers of a shard, which is read to its end.

    Raises: SharingError where it cannot be read; ContractError where it is not as listed.
    """
    blocks = _blocks(shard)
    received = _Received(blocks, shard)
    with closing(blocks), io.BufferedReader(received, 1 << 16) as file:
        try:
            yield from read_tar(file, shard.shown, shard.manifest, shard.row, numbers)
            while file.read(1 << 20):  # the padding after the last member
                pass
        except PanpriorError:
            if received.failure is not None:  # without what webdataset adds to an error
                raise received.failure from None
            raise
    received.check()


def _blocks(shard: StreamedShard) -> Generator[bytes, None, None]:
    """All bytes of the shard. Raises: SharingError after TRIES without a byte."""
    size, before = 0, -1
    # A connection closed early can look like the end: only the size tells.
    while before < size < shard.row.bytes:
        before = size
        try:
            for block in read_persistently(_store(shard.url), shard.row.name, size, tries=TRIES):
                size += len(block)
                yield block
        except SharingError as error:
            raise SharingError(
                f"{error}\n  do: the same command goes on at this shard once it can be read again"
            ) from None


def read_shard(shard: ShardRef) -> Iterator[Sample]:
    """Every sample of one tar on disk. Raises: ContractError."""
    with shard.path.open("rb") as file:
        yield from read_tar(file, str(shard.path), shard.manifest, shard.row)


def read_tar(
    file: "io.BufferedReader[Any]",
    where: str,
    manifest: Manifest,
    row: ShardRow,
    numbers: Collection[int] | None = None,
) -> Iterator[Sample]:
    """Samples of an open tar, those of `numbers` or all, through webdataset.

    Raises: ContractError unless the tar holds as many samples as listed, of the listed form.
    """
    if file.peek(_HEADER)[:_HEADER][_MAGIC] != b"ustar":  # webdataset would also inflate
        raise ContractError(f"{where} is no USTAR file; copy it again")
    files = wds.tariterators.tar_file_expander([{"url": row.name, "stream": file}])
    count = 0
    try:
        for number, raw in enumerate(wds.tariterators.group_by_keys(files)):
            count += 1
            members = _members(where, raw)
            if numbers is not None and number not in numbers:
                continue
            largest = manifest.largest_array(row)
            truth, ms, pan, facts = decode_sample(members, largest=largest)
            manifest.check_sample(row, raw["__key__"], truth.shape, facts.ratio)
            yield Sample(truth=truth, ms=ms, pan=pan, facts=facts)
    except (tarfile.TarError, ValueError, OSError) as error:
        raise ContractError(f"{where} is damaged: {error}; copy it again") from error
    if count != row.samples:  # webdataset ends a truncated tar without an error
        raise ContractError(
            f"{where}: expected {row.samples} samples, got {count} (truncated?); copy it again"
        )


def _members(where: str, raw: dict[str, Any]) -> dict[str, bytes]:
    members = {name: data for name, data in raw.items() if name not in _SET_BY_WEBDATASET}
    for name in members:
        if name not in ALL_NAMES:
            raise ContractError(
                f"{where}: refused member {raw['__key__']}.{name}; "
                f"a sample holds only {', '.join(MEMBER_NAMES)}"
            )
    return members


class _Received(io.RawIOBase):
    """Blocks from the network as a file, counted and hashed on the way."""

    def __init__(self, blocks: Generator[bytes, None, None], shard: StreamedShard) -> None:
        super().__init__()
        self._blocks, self._shard = blocks, shard
        self._rest = memoryview(b"")
        self._size, self._hasher = 0, hashlib.sha256()
        self.failure: PanpriorError | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = 0  # filled as far as it goes, so that peek() shows a whole header
        while count < len(buffer):
            if not self._rest:
                self._rest = memoryview(self._next_block())
            if not self._rest:
                break
            part = min(len(buffer) - count, len(self._rest))
            buffer[count : count + part] = self._rest[:part]
            self._rest = self._rest[part:]
            count += part
        return count

    def _next_block(self) -> bytes:
        try:
            block = next(self._blocks, b"")
            self._size += len(block)
            self._hasher.update(block)
            if self._size > self._shard.row.bytes:
                raise ContractError(f"{self._expected()}, got more; copy it there again")
        except PanpriorError as error:
            self.failure = type(error)(str(error))
            raise
        return block

    def check(self) -> None:
        """Raises: ContractError unless all bytes have come, and are the listed ones."""
        if self._size != self._shard.row.bytes:
            raise ContractError(f"{self._expected()}, got {self._size}; copy it there again")
        if self._hasher.hexdigest() != self._shard.row.sha256:
            raise ContractError(
                f"{self._shard.shown}: altered (another sha256); copy it there again"
            )

    def _expected(self) -> str:
        return f"{self._shard.shown}: expected {self._shard.row.bytes} bytes"


@lru_cache(maxsize=16)
def _store(url: str) -> Store:
    return open_store(url)
