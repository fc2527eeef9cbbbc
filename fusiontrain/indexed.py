"""Shards by their indexes: any batch of the global order, for any rank, worker or start.

The order is order.py's; a batch is read by offsets with a few system calls a sample and
nothing in between. reader.py reads the same shards through webdataset.
"""

import os
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Literal

import numpy as np
from torch.utils.data import DataLoader, Dataset, Sampler

from fusiontrain.crops import Example, TrainingBatch, collate, cut_crop
from fusiontrain.errors import TrainingError
from fusiontrain.order import Order
from shards.errors import ContractError
from shards.manifest import Manifest, ShardRow
from shards.schema import MEMBER_NAMES, decode_sample

_CROP = 2  # what a dice is for; order.py has the others
_MAX_INDEX = 2**28  # bytes of an index file
_OPEN = 256  # shards whose files and indexes are held open
OnBad = Literal["fail", "skip"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """A shard and the manifest that lists it."""

    folder: Path
    manifest: Manifest
    row: ShardRow

    @property
    def path(self) -> Path:
        return self.folder / self.row.name


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardSet:
    """A build to train on, and its share of all batches; None: as many as its samples make."""

    folder: Path
    share: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Samples that can share a batch."""

    shards: tuple[Listed, ...]
    begins: tuple[int, ...]  # number of each shard's first sample in the group
    size: int


class IndexedShards(Dataset[TrainingBatch]):
    """`self[k]`: this rank's part of global batch k. The same for any number of workers.

    `bad` is what find_bad gave, the same on every rank: such shards are left out of the order.
    Raises: ContractError if a sample is not as listed. TrainingError if the batch does not
        divide by the ranks, a crop does not fit, or no sample is left.
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
        bad: Collection[str] = (),
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
            [shard for shard in _list(one.folder, manifest) if str(shard.path) not in bad]
            for one, manifest in zip(sets, self.manifests, strict=True)
        ]
        if not all(whole):
            raise TrainingError("a shard set has no sample to train on; build it again")
        self.groups, shares = _group(whole, [one.share for one in sets])
        self.order = Order([g.size for g in self.groups], batch=batch, seed=seed, shares=shares)
        self.batch, self.crop, self.seed = batch, crop, seed
        self.rank, self.world = rank, world

    def __getitem__(self, k: int) -> TrainingBatch:
        drawn = self.order[k]
        group = self.groups[drawn.group]
        part = self.batch // self.world
        mine = drawn.samples[self.rank * part : (self.rank + 1) * part]
        examples = []
        for one in mine:
            # Keyed by the sample and the pass: the same crop on whatever rank it falls.
            dice = [self.seed, _CROP, drawn.group, one.number, one.sample]
            tile = read_sample(*_locate(group, one.sample))
            examples.append(cut_crop(tile, self.crop, np.random.default_rng(dice)))
        return collate(examples)


class FromBatch(Sampler[int]):
    """Batch numbers from `start` on, for ever."""

    def __init__(self, start: int) -> None:
        self.start = start

    def __iter__(self) -> Iterator[int]:
        return count(self.start)


def batches(data: IndexedShards, *, start: int, workers: int) -> DataLoader[TrainingBatch]:
    """From global batch `start` on, in order; `workers` processes started by spawn, or none."""
    return DataLoader(
        data,
        batch_size=None,
        sampler=FromBatch(start),
        num_workers=workers,
        multiprocessing_context="spawn" if workers else None,
        prefetch_factor=4 if workers else None,
    )


def read_sample(shard: Listed, number: int) -> Example:
    """One sample of a shard, by offset. Raises: ContractError if it is not as listed."""
    handle, places = _open(shard.path, shard.row.samples, shard.row.bytes)
    members, keys = {}, set()
    for name, (offset, size, key) in places[number].items():
        data = os.pread(handle, size, offset)
        if len(data) != size:
            raise ContractError(f"{shard.path} ends within sample {number}; copy it again")
        members[name] = data
        keys.add(key)
    if len(keys) != 1:
        raise ContractError(f"{shard.path}: sample {number} mixes {sorted(keys)}; copy it again")
    gt, ms, pan, facts = decode_sample(members)
    shard.manifest.check_sample(shard.row, keys.pop(), gt.shape, facts.ratio)
    return Example(gt=gt, ms=ms, pan=pan, facts=facts)


_Places = tuple[dict[str, tuple[int, int, str]], ...]


@lru_cache(maxsize=_OPEN)
def _open(path: Path, samples: int, length: int) -> tuple[int, _Places]:
    """A file handle for the life of the process, and where each sample's members lie."""
    index = path.with_suffix(".idx")
    try:
        if index.stat().st_size > _MAX_INDEX:
            raise ContractError(f"{index} is over {_MAX_INDEX} bytes; copy it again")
        first, *lines = index.read_text(encoding="ascii").splitlines()
        handle = os.open(path, os.O_RDONLY)
    except (OSError, ValueError) as error:
        raise ContractError(f"{path} or its index cannot be read: {error}") from error
    if first.split() != ["v1.2", str(samples)] or len(lines) != samples:
        raise ContractError(f"{index} does not list {samples} samples; copy it again")
    return handle, tuple(_parse(index, line, length) for line in lines)


def _parse(index: Path, line: str, length: int) -> dict[str, tuple[int, int, str]]:
    words = line.split(" ")
    places = {}
    for name, offset, size, member in zip(*(words[i::4] for i in range(4)), strict=True):
        begin, count_ = int(offset), int(size)
        if name not in MEMBER_NAMES or begin < 0 or count_ < 0 or begin + count_ > length:
            raise ContractError(f"{index} names {name} at {offset}, {size} bytes: refused")
        places[name] = (begin, count_, member.split(".", 1)[0])
    return places


def _locate(group: Group, number: int) -> tuple[Listed, int]:
    shard = int(np.searchsorted(group.begins, number, side="right")) - 1
    return group.shards[shard], number - group.begins[shard]


def find_bad(
    sets: Sequence[ShardSet], *, hashes: bool, on_bad: OnBad, max_bad: float = 0.05
) -> dict[str, str]:
    """Path of each shard that is not as its manifest lists it -> what is wrong with it.

    Raises: ContractError at the first ("fail"), or where more than `max_bad` of the samples lie
        in such shards ("skip").
    """
    found: dict[str, str] = {}
    total = lost = 0
    for one in sets:
        for shard in _list(one.folder, Manifest.load(one.folder)):
            total += shard.row.samples
            problems = list(shard.row.problems(shard.folder, hashes=hashes))
            if problems and on_bad == "fail":
                raise ContractError(
                    f"{one.folder}: {'; '.join(problems)}\n  do: copy the shard again, or train "
                    "without it (--on-bad-shard skip)"
                )
            if problems:
                found[str(shard.path)] = "; ".join(problems)
                lost += shard.row.samples
    if lost > max_bad * total:
        shown = "\n  ".join(list(found.values())[:5])
        raise ContractError(
            f"{lost} of {total} samples lie in bad shards, over the budget of {max_bad:.0%}; "
            f"first:\n  {shown}"
        )
    return found


def _list(folder: Path, manifest: Manifest) -> list[Listed]:
    return [Listed(folder=folder, manifest=manifest, row=row) for row in manifest.shards]


def _group(
    whole: list[list[Listed]], shares: Sequence[float | None]
) -> tuple[tuple[Group, ...], list[float] | None]:
    """Groups by set, band count and ratio, and their shares of the batches if any is told."""
    if any(x is None for x in shares) and any(x is not None for x in shares):
        raise TrainingError("give every shard set a share (DIR:0.3), or none")
    groups: list[Group] = []
    weights: list[float] = []
    for shards, share in zip(whole, shares, strict=True):
        by_kind: dict[tuple[int, int], list[Listed]] = defaultdict(list)
        for shard in shards:
            by_kind[shard.row.bands, shard.manifest.ratio].append(shard)
        total = sum(shard.row.samples for shard in shards)
        for kind in sorted(by_kind):
            sizes = [shard.row.samples for shard in by_kind[kind]]
            begins = tuple(int(x) for x in np.cumsum([0, *sizes[:-1]]))
            groups.append(Group(shards=tuple(by_kind[kind]), begins=begins, size=sum(sizes)))
            weights.append((share or 0.0) * sum(sizes) / total)
    return tuple(groups), (None if shares[0] is None else weights)
