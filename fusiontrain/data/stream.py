"""Training batches from shards that are read over the network as they come, without a copy on disk.

The only webdataset import. stream_order.py says which samples a reader takes; each shard is read
from its first byte to its last and must have the manifest's length and sha256. Only the
contract's members are decoded, by shards.schema: nothing is unpickled, whatever a tar holds.
"""

import hashlib
import io
import tarfile
from collections.abc import Collection, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import webdataset as wds

from fusiontrain.data.crops import Sample
from fusiontrain.data.dataset import ShardBatches
from fusiontrain.data.shard_file import ShardRef
from fusiontrain.data.shard_location import StreamSet
from fusiontrain.data.stream_order import BUFFER, LaneOrder, block_start
from shards.errors import ContractError, PanpriorError, SharingError
from shards.manifest import Manifest, ShardRow
from shards.schema import ALL_NAMES, MEMBER_NAMES, decode_sample
from shards.stores import Store, open_store, shown
from shards.transfer import read_manifest, read_persistently

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


@dataclass(frozen=True, kw_only=True, slots=True)
class ReaderPlace:
    """Where a reader's stream of one group goes on: at the shard, after so many samples of it."""

    rank: int
    worker: int
    group: int
    number: int  # of the pass
    shard: str
    sample: int


class StreamedShards(ShardBatches[StreamedShard]):
    """Batches of the groups that the exact order would draw from, of samples as they arrive.

    Every rank takes its part of a batch from shards of its own, so a global batch is not the
    exact reader's; its group is, so that all ranks train on equal shapes at every step. The same
    number of ranks and workers gives the same batches, from whichever k reading begins.
    Raises: SharingError where a place cannot be read; ContractError where it holds other bytes
    than listed; TrainingError as ShardBatches does, and for more readers than samples.
    """

    def __init__(
        self,
        sets: Sequence[StreamSet],
        *,
        batch: int,
        crop: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
        workers: int = 0,
    ) -> None:
        """`workers`: reader processes of each rank, as the loader starts them."""
        manifests = [read_manifest(open_store(stream_set.url)) for stream_set in sets]
        super().__init__(
            [
                [StreamedShard(url=one.url, manifest=manifest, row=row) for row in manifest.shards]
                for one, manifest in zip(sets, manifests, strict=True)
            ],
            [stream_set.share for stream_set in sets],
            manifests,
            batch=batch,
            crop=crop,
            seed=seed,
            rank=rank,
            world=world,
        )
        self.workers = max(1, workers)
        self.lanes = world * self.workers
        for group in range(len(self.groups)):
            self._order(rank, 0, group)  # refuses more readers than samples
        # Of each worker: its next batch in sequence, and its batches before that by group.
        self._counted: dict[int, tuple[int, np.ndarray]] = {}
        self._streams: dict[tuple[int, int], tuple[int, Iterator[Sample]]] = {}

    def samples(self, k: int) -> Iterator[Sample]:
        """This rank's samples of batch k; consecutive calls read on. Raises: see the class."""
        worker, group = k % self.workers, self.order.group_of(k)
        before = self._batches_before(k)
        count = int(before[group]) * self.part
        at, stream = self._streams.pop((worker, group), (-1, None))
        if stream is None or at != count:
            stream = self._shuffled(self._order(self.rank, worker, group), group, count)
        for _ in range(self.part):
            yield next(stream)
        self._streams[worker, group] = count + self.part, stream
        before[group] += 1
        self._counted[worker] = k + self.workers, before

    def sample_names(self, k: int) -> list[str]:
        """Shard and number of every sample of batch k, rank after rank."""
        worker, group = k % self.workers, self.order.group_of(k)
        count = int(self._counts(k, worker)[group]) * self.part
        names = []
        for rank in range(self.world):
            order = self._order(rank, worker, group)
            for taken in range(count, count + self.part):
                place = order.place(order.taken(taken))
                run = order.runs(place.number)[place.run]
                shard = self.groups[group].shards[run.shard]
                names.append(f"{shard.shown}: sample {run.samples[place.offset]}")
        return names

    def places(self, k: int) -> list[dict[str, Any]]:
        """Where each reader of each rank goes on after k batches, for a saved state."""
        places = []
        for worker in range(self.workers):
            counts = self._counts(k, worker)
            for rank, group in np.ndindex(self.world, len(self.groups)):
                order = self._order(rank, worker, group)
                place = order.place(block_start(int(counts[group]) * self.part))
                run = order.runs(place.number)[place.run]
                found = ReaderPlace(
                    rank=rank,
                    worker=worker,
                    group=group,
                    number=place.number,
                    shard=self.groups[group].shards[run.shard].row.name,
                    sample=run.samples[place.offset],
                )
                places.append(asdict(found))
        return places

    def _order(self, rank: int, worker: int, group: int) -> LaneOrder:
        return LaneOrder(
            [shard.row.samples for shard in self.groups[group].shards],
            seed=self.seed,
            group=group,
            lane=rank * self.workers + worker,
            lanes=self.lanes,
        )

    def _batches_before(self, k: int) -> np.ndarray:
        """Batches of each group that batch k's worker read before it, (groups,)."""
        worker = k % self.workers
        at, counts = self._counted.get(worker, (-1, None))
        return counts if counts is not None and at == k else self._counts(k, worker)

    def _counts(self, k: int, worker: int) -> np.ndarray:
        own = self.order.groups_before(k)[worker :: self.workers]
        return np.bincount(own, minlength=len(self.groups))

    def _shuffled(self, order: LaneOrder, group: int, count: int) -> Iterator[Sample]:
        """The lane's samples as its buffer gives them, after `count` that were taken before."""
        start = block_start(count)
        stream = self._stream(order, group, start)
        block, skipped = start // BUFFER, count - start
        held = [next(stream) for _ in range(BUFFER)]
        while True:
            following = []
            for index, number in enumerate(order.shuffle(block)):
                if index >= skipped:
                    yield held[number]
                following.append(next(stream))
            held, block, skipped = following, block + 1, 0

    def _stream(self, order: LaneOrder, group: int, start: int) -> Iterator[Sample]:
        """The lane's samples in the order of their shards, from that position on."""
        place = order.place(start)
        number, first, offset = place.number, place.run, place.offset
        while True:
            for run in order.runs(number)[first:]:
                shard = self.groups[group].shards[run.shard]
                yield from stream_shard(shard, run.samples[offset:])
                offset = 0
            number, first = number + 1, 0


def stream_shard(shard: StreamedShard, wanted: range) -> Iterator[Sample]:
    """The samples of those numbers of a shard, which is read to its end.

    Raises: SharingError where it cannot be read; ContractError where it is not as listed.
    """
    blocks = _blocks(shard)
    received = _Received(blocks, shard)
    with closing(blocks), io.BufferedReader(received, 1 << 16) as file:
        try:
            yield from read_tar(file, shard.shown, shard.manifest, shard.row, wanted)
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
    wanted: Collection[int] | None = None,
) -> Iterator[Sample]:
    """Samples of an open tar, those of the numbers `wanted` or all, through webdataset.

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
            if wanted is not None and number not in wanted:
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
