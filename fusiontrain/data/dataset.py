"""Training batches by number: any batch of the global order, for any rank, worker or start.

sampler.py decides which samples make up a batch; `IndexedShards` finds them by the shards' indexes
(shard_file.py) and copies their crops once, from the page cache to where they lie in the batch.
`StreamedShards` in stream.py makes batches of the same form from shards that are read in sequence.
"""

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from fusiontrain.data.crops import BatchLayout, CropTransforms, Sample, TrainingBatch, pack, unpack
from fusiontrain.data.sampler import BatchSampler
from fusiontrain.data.shard_file import ShardRef, read_sample
from fusiontrain.data.shard_integrity import ShardSet, list_shards
from fusiontrain.errors import TrainingError
from shards.manifest import Manifest, ShardRow

_CROP = 2  # key of the crops' random stream; sampler.py has the others


class ListedShard(Protocol):
    """A shard and the manifest that lists it."""

    @property
    def manifest(self) -> Manifest: ...

    @property
    def row(self) -> ShardRow: ...


S = TypeVar("S", bound=ListedShard)


@dataclass(frozen=True, kw_only=True, slots=True)
class Group(Generic[S]):
    """Samples that can share a batch: one shard set, band count and ratio."""

    shards: tuple[S, ...]
    begins: tuple[int, ...]  # number of each shard's first sample in the group
    size: int  # samples

    def locate(self, number: int) -> tuple[S, int]:
        """The shard of one of the group's samples, and its number there."""
        shard = bisect_right(self.begins, number) - 1
        return self.shards[shard], number - self.begins[shard]


class ShardBatches(Dataset[TrainingBatch], ABC, Generic[S]):
    """`self[k]`: this rank's part of global batch k, crops of one group.

    `turned`: crops in any of the square's eight orientations. Raises: TrainingError if the batch
    does not divide by the ranks or a crop does not fit.
    """

    def __init__(
        self,
        shards: Sequence[Sequence[S]],
        shares: Sequence[float | None],
        manifests: Sequence[Manifest],
        *,
        batch: int,
        crop: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
        turned: bool = True,
    ) -> None:
        """`shards`: those of each set; `shares`: each set's of all batches."""
        if batch % world:
            raise TrainingError(
                f"`batch_size` counts all processes' crops and must divide by them; got {batch} "
                f"for {world} processes"
            )
        for manifest in manifests:
            if not 4 * manifest.ratio <= crop <= manifest.tile or crop % manifest.ratio:
                raise TrainingError(
                    f"`crop` must be a multiple of ratio {manifest.ratio}, from four MS pixels to "
                    f"the tile's {manifest.tile}; got {crop}"
                )
        if not all(shards):
            raise TrainingError("a shard set has no sample to train on; build it again")
        self.manifests = tuple(manifests)
        self.groups, group_shares = group_shards(shards, shares)
        self.order = BatchSampler(
            [g.size for g in self.groups], batch=batch, seed=seed, shares=group_shares
        )
        self.batch, self.crop, self.seed, self.turned = batch, crop, seed, turned
        self.rank, self.world = rank, world

    @abstractmethod
    def samples(self, k: int) -> Iterator[Sample]:
        """This rank's samples of batch k. Raises: ContractError, SharingError."""

    @abstractmethod
    def sample_names(self, k: int) -> list[str]:
        """Shard and number of the samples of batch k."""

    def places(self, k: int) -> list[dict[str, Any]] | None:
        """Where readers go on after k batches, for a saved state; None: k alone says it."""
        del k
        return None

    def __getitem__(self, k: int) -> TrainingBatch:
        block = self.new_block()
        return unpack(self.read(k, block), block)

    @property
    def part(self) -> int:
        """Samples of a batch that are this rank's."""
        return self.batch // self.world

    @property
    def nbytes(self) -> int:
        """Of the largest batch of a rank."""
        return max(self._layout(group).nbytes for group in self.groups)

    def new_block(self) -> Tensor:
        """Memory for any batch of a rank."""
        return torch.empty(self.nbytes, dtype=torch.uint8)

    def read(self, k: int, block: Tensor) -> BatchLayout:
        """Fill `block` with this rank's part of global batch k; how it lies there."""
        group = self.groups[self.order.group_of(k)]
        layout = self._layout(group)
        # One random stream for the global batch: its crops do not depend on the number of ranks.
        rng = np.random.default_rng([self.seed, _CROP, k])
        room = (group.shards[0].manifest.tile - self.crop) // layout.ratio
        crops = CropTransforms.draw(self.batch, room, rng, turned=self.turned)
        pack(self.samples(k), crops.of(self.own), layout, block)
        return layout

    @property
    def own(self) -> slice:
        """This rank's part of a global batch."""
        return slice(self.rank * self.part, (self.rank + 1) * self.part)

    def _layout(self, group: Group[S]) -> BatchLayout:
        first = group.shards[0]
        return BatchLayout(
            batch=self.part,
            bands=first.row.bands,
            side=self.crop,
            ratio=first.manifest.ratio,
        )


class IndexedShards(ShardBatches[ShardRef]):
    """Batches of exactly the sampler's samples, the same for any number of ranks and workers.

    `bad` is what find_bad_shards gave, the same on every rank: such shards are left out.
    Raises: ContractError if a sample is not as listed; TrainingError as ShardBatches does.
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
        manifests = [Manifest.load(shard_set.folder) for shard_set in sets]
        whole = [
            [s for s in list_shards(one.folder, manifest) if (number, s.row.name) not in bad]
            for number, (one, manifest) in enumerate(zip(sets, manifests, strict=True))
        ]
        super().__init__(
            whole,
            [shard_set.share for shard_set in sets],
            manifests,
            batch=batch,
            crop=crop,
            seed=seed,
            rank=rank,
            world=world,
            turned=turned,
        )

    def samples(self, k: int) -> Iterator[Sample]:
        """This rank's samples of batch k. Raises: ContractError."""
        drawn = self.order[k]
        group = self.groups[drawn.group]
        return (read_sample(*group.locate(ref.sample)) for ref in drawn.samples[self.own])

    def sample_names(self, k: int) -> list[str]:
        """Shard and number of every sample of global batch k, in its order."""
        drawn = self.order[k]
        group = self.groups[drawn.group]
        located = [group.locate(ref.sample) for ref in drawn.samples]
        return [f"{shard.path}: sample {number}" for shard, number in located]


def group_shards(
    shards: Sequence[Sequence[S]], shares: Sequence[float | None]
) -> tuple[tuple[Group[S], ...], list[float] | None]:
    """Groups by set, band count and ratio, and their shares of the batches if any is given."""
    if any(x is None for x in shares) and any(x is not None for x in shares):
        raise TrainingError("give every shard set a share (DIR:0.3), or none")
    groups: list[Group[S]] = []
    weights: list[float] = []
    for of_set, share in zip(shards, shares, strict=True):
        by_kind: dict[tuple[int, int], list[S]] = defaultdict(list)
        for shard in of_set:
            by_kind[shard.row.bands, shard.manifest.ratio].append(shard)
        total = sum(shard.row.samples for shard in of_set)
        for kind in sorted(by_kind):
            sizes = [shard.row.samples for shard in by_kind[kind]]
            begins = tuple(int(x) for x in np.cumsum([0, *sizes[:-1]]))
            groups.append(Group(shards=tuple(by_kind[kind]), begins=begins, size=sum(sizes)))
            weights.append((share or 0.0) * sum(sizes) / total)
    return tuple(groups), (None if shares[0] is None else weights)
