"""Shards by their indexes: any batch of the global order, for any rank, worker or start.

The order is sampler.py's, a sample is read by shard_file.py; a batch is crops copied once, from the
page cache to where they lie in it. stream.py reads the same shards through webdataset.
"""

import multiprocessing
import signal
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from multiprocessing.context import ForkServerContext
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, get_worker_info

from fusiontrain.data.crops import BatchLayout, CropTransforms, TrainingBatch, pack, unpack
from fusiontrain.data.sampler import BatchSampler
from fusiontrain.data.shard_file import ShardRef, read_sample
from fusiontrain.data.shard_integrity import OnBad, ShardSet, find_bad_shards, list_shards
from fusiontrain.errors import TrainingError
from shards.errors import ContractError
from shards.manifest import Manifest

__all__ = ["Batches", "IndexedShards", "OnBad", "ShardSet", "batches", "find_bad_shards"]

_CROP = 2  # what a dice is for; sampler.py has the others
_PREFETCH = 4  # batches a worker is ahead


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Samples that can share a batch."""

    shards: tuple[ShardRef, ...]
    begins: tuple[int, ...]  # number of each shard's first sample in the group
    size: int

    def locate(self, number: int) -> tuple[ShardRef, int]:
        """The shard of one of the group's samples, and its number there."""
        shard = bisect_right(self.begins, number) - 1
        return self.shards[shard], number - self.begins[shard]


class IndexedShards(Dataset[TrainingBatch]):
    """`self[k]`: this rank's part of global batch k. The same for any number of workers.

    `bad` is what find_bad_shards gave, the same on every rank: such shards are left out.
    `turned`: crops in any of the square's eight orientations. Raises: ContractError if a sample
        is not as listed. TrainingError if the batch does not divide by the ranks, a crop does
        not fit, or no sample is left.
    """

    def __init__(
        self,
        sets: Sequence[ShardSet],
        *,
        batch: int,
        crop: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
        bad: Collection[tuple[int, str]] = (),
        turned: bool = True,
    ) -> None:
        if batch % world:
            raise TrainingError(
                f"--batch-size counts all processes' crops and must divide by them; got {batch} "
                f"for {world} processes"
            )
        self.manifests = tuple(Manifest.load(one.folder) for one in sets)
        for manifest in self.manifests:
            if not 4 * manifest.ratio <= crop <= manifest.tile or crop % manifest.ratio:
                raise TrainingError(
                    f"--crop must be a multiple of ratio {manifest.ratio}, from four MS pixels to "
                    f"the tile's {manifest.tile}; got {crop}"
                )
        whole = [
            [s for s in list_shards(one.folder, manifest) if (place, s.row.name) not in bad]
            for place, (one, manifest) in enumerate(zip(sets, self.manifests, strict=True))
        ]
        if not all(whole):
            raise TrainingError("a shard set has no sample to train on; build it again")
        self.groups, shares = _group(whole, [one.share for one in sets])
        self.order = BatchSampler(
            [g.size for g in self.groups], batch=batch, seed=seed, shares=shares
        )
        self.batch, self.crop, self.seed, self.turned = batch, crop, seed, turned
        self.rank, self.world = rank, world

    def __getitem__(self, k: int) -> TrainingBatch:
        block = self.new_block()
        return unpack(self.read(k, block), block)

    @property
    def nbytes(self) -> int:
        """Of the largest batch of a rank."""
        return max(self._layout(group).nbytes for group in self.groups)

    def new_block(self) -> Tensor:
        """Memory for any batch of a rank."""
        return torch.empty(self.nbytes, dtype=torch.uint8)

    def read(self, k: int, block: Tensor) -> BatchLayout:
        """Fill `block` with this rank's part of global batch k; how it lies there."""
        drawn = self.order[k]
        group = self.groups[drawn.group]
        layout, part = self._layout(group), self.batch // self.world
        own = slice(self.rank * part, (self.rank + 1) * part)
        # One dice for the global batch: its crops are the same however many ranks share it.
        dice = np.random.default_rng([self.seed, _CROP, k])
        room = (group.shards[0].manifest.tile - self.crop) // layout.ratio
        cuts = CropTransforms.draw(self.batch, room, dice, turned=self.turned)
        tiles = (read_sample(*group.locate(one.sample)) for one in drawn.samples[own])
        pack(tiles, cuts.of(own), layout, block)
        return layout

    def _layout(self, group: Group) -> BatchLayout:
        first = group.shards[0]
        return BatchLayout(
            batch=self.batch // self.world,
            bands=first.row.bands,
            side=self.crop,
            ratio=first.manifest.ratio,
        )


class Batches:
    """From global batch `start` on, in order, for ever; on `device`, the CPU unless told.

    `workers` processes read ahead; with none, a batch is read when asked for.
    Raises while iterated: ContractError.
    """

    def __init__(
        self, data: IndexedShards, *, start: int, workers: int, device: torch.device | None = None
    ) -> None:
        self.data, self.start, self.workers, self.device = data, start, workers, device

    def __iter__(self) -> Generator[TrainingBatch, None, None]:
        if self.workers:
            yield from self._from_workers()
        block = self.data.new_block()
        for k in count(self.start):
            yield unpack(self.data.read(k, block), block, self.device)

    def _from_workers(self) -> Generator[TrainingBatch, None, None]:
        loader = DataLoader(
            _Handing(self.data),
            batch_size=None,
            sampler=_From(self.start),
            num_workers=self.workers,
            multiprocessing_context=_clean_start(),
            worker_init_fn=_outlive_signals,
            prefetch_factor=_PREFETCH,
        )
        blocks: dict[tuple[int, int], Tensor] = {}
        feed: Any = iter(loader)
        try:
            for handed in feed:
                if handed.block is not None:
                    blocks[handed.worker, handed.slot] = handed.block
                yield unpack(handed.layout, blocks[handed.worker, handed.slot], self.device)
        except ContractError as error:  # torch puts the worker's traceback before its message
            raise ContractError(str(error).rpartition("ContractError: ")[2].strip()) from None
        except (RuntimeError, OSError, EOFError) as error:  # the last two: its socket is gone
            if isinstance(error, RuntimeError) and not str(error).startswith("DataLoader worker"):
                raise
            said = (str(error).strip() or repr(error)).splitlines()[-1]
            raise TrainingError(
                f"a reader process has ended: {said}\n"
                "  do: look at memory and at the shards' disk; the same command goes on"
            ) from None
        finally:
            # By hand: where an error's traceback holds the feed, the garbage collector ends its
            # queues first, and workers that ignore SIGTERM would be waited for without end.
            feed._shutdown_workers()
            for worker in feed._workers:
                if worker.is_alive():
                    worker.kill()


def batches(
    data: IndexedShards, *, start: int, workers: int, device: torch.device | None = None
) -> Batches:
    """From global batch `start` on; see Batches."""
    return Batches(data, start=start, workers=workers, device=device)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Handed:
    """A batch in shared memory, which crosses once and is named by worker and slot after that."""

    layout: BatchLayout
    worker: int
    slot: int
    block: Tensor | None


class _Handing(Dataset[_Handed]):
    """Reads into blocks that are used again: new shared memory costs more than reading a batch."""

    def __init__(self, data: IndexedShards) -> None:
        self.data, self.turn = data, 0
        self.blocks: list[Tensor] = []

    def __getitem__(self, k: int) -> _Handed:
        worker = get_worker_info()
        # The loader asks a worker for a batch more as it takes one, and we unpack that one first:
        # so one block more than it may be ahead is enough.
        slot, self.turn = self.turn % (_PREFETCH + 1), self.turn + 1
        if fresh := slot == len(self.blocks):
            self.blocks.append(self.data.new_block().share_memory_())  # type: ignore[no-untyped-call]
        layout = self.data.read(k, self.blocks[slot])
        return _Handed(
            layout=layout,
            worker=worker.id if worker else 0,
            slot=slot,
            block=self.blocks[slot] if fresh else None,
        )


def _clean_start() -> ForkServerContext:
    """Workers forked from a process that has imported what they need, once, and has no threads."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", __name__])
    return context


def _outlive_signals(_: int) -> None:
    """Slurm tells every process of a job to stop. The loop stops; it ends us once it has saved."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)


class _From(Sampler[int]):
    """Batch numbers from `start` on, for ever."""

    def __init__(self, start: int) -> None:
        self.start = start

    def __iter__(self) -> Iterator[int]:
        return count(self.start)


def _group(
    whole: list[list[ShardRef]], shares: Sequence[float | None]
) -> tuple[tuple[Group, ...], list[float] | None]:
    """Groups by set, band count and ratio, and their shares of the batches if any is told."""
    if any(x is None for x in shares) and any(x is not None for x in shares):
        raise TrainingError("give every shard set a share (DIR:0.3), or none")
    groups: list[Group] = []
    weights: list[float] = []
    for shards, share in zip(whole, shares, strict=True):
        by_kind: dict[tuple[int, int], list[ShardRef]] = defaultdict(list)
        for shard in shards:
            by_kind[shard.row.bands, shard.manifest.ratio].append(shard)
        total = sum(shard.row.samples for shard in shards)
        for kind in sorted(by_kind):
            sizes = [shard.row.samples for shard in by_kind[kind]]
            begins = tuple(int(x) for x in np.cumsum([0, *sizes[:-1]]))
            groups.append(Group(shards=tuple(by_kind[kind]), begins=begins, size=sum(sizes)))
            weights.append((share or 0.0) * sum(sizes) / total)
    return tuple(groups), (None if shares[0] is None else weights)
