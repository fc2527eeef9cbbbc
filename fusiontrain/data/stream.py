"""Training batches from shards that are read over the network as they come, without a copy.

stream_order.py says which samples a reader takes; shard_stream.py reads them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from fusiontrain.data.crops import Sample
from fusiontrain.data.dataset import ShardBatches
from fusiontrain.data.shard_location import StreamSet
from fusiontrain.data.shard_stream import StreamedShard, stream_shard
from fusiontrain.data.stream_order import BUFFER, LaneOrder, block_start
from shards.stores import open_store
from shards.transfer import read_manifest


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

    def places(self, k: int) -> list[dict[str, Any]] | None:
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
