"""Shards -> training batches through webdataset; loader.py is the way that training takes.

The only webdataset import. Order follows from (seed, epoch, manifest, rank, workers). Only the
contract's members are decoded, by shards.schema: nothing is unpickled, whatever a tar holds.
"""

import tarfile
from collections import defaultdict
from collections.abc import Iterator
from itertools import chain, count, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
import webdataset as wds
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from fusiontrain.data.crops import (
    BatchLayout,
    CropTransforms,
    Sample,
    TrainingBatch,
    pack,
    unpack,
)
from fusiontrain.data.shard_file import ShardRef
from fusiontrain.errors import TrainingError
from shards.errors import ContractError
from shards.manifest import Manifest
from shards.schema import ALL_NAMES, MEMBER_NAMES, decode_sample

SHUFFLE_BUFFER = 64  # tiles; 45 MB at 4 bands and 256 pixels
_BLOCK, _MAGIC = 512, slice(257, 262)  # of a tar header
_SET_BY_WEBDATASET = frozenset({"__key__", "__url__", "__local_path__"})


class ShardReader(IterableDataset[TrainingBatch]):
    """Endless batches over one or more builds, each checked against its manifest first.

    Raises: ContractError if a shard is absent, altered, shorter than listed, or holds
            anything but samples of the contract.
    """

    def __init__(
        self,
        folders: list[Path],
        *,
        batch_size: int,
        crop: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
        hashes: bool = True,
    ) -> None:
        super().__init__()
        self.manifests = tuple(Manifest.load(folder) for folder in folders)
        self.shards: tuple[ShardRef, ...] = tuple(
            ShardRef(folder=folder, manifest=manifest, row=row)
            for folder, manifest in zip(folders, self.manifests, strict=True)
            for row in manifest.shards
        )
        for folder, manifest in zip(folders, self.manifests, strict=True):
            manifest.check(folder, hashes=hashes)
            if not 4 * manifest.ratio <= crop <= manifest.tile or crop % manifest.ratio:
                raise TrainingError(
                    f"--crop must be a multiple of ratio {manifest.ratio}, from four MS pixels to "
                    f"the tile's {manifest.tile}; got {crop}"
                )
        if not self.shards:
            raise TrainingError(f"no shards in {', '.join(map(str, folders))}")
        self.batch_size, self.crop, self.seed = batch_size, crop, seed
        self.rank, self.world = rank, world

    def __iter__(self) -> Iterator[TrainingBatch]:
        worker = get_worker_info()
        workers, index = (worker.num_workers, worker.id) if worker else (1, 0)
        slot, slots = self.rank * workers + index, self.world * workers
        rng = np.random.default_rng([self.seed, slot])
        waiting: dict[tuple[int, int], list[Sample]] = defaultdict(list)
        for tile in _shuffled(self._samples(slot, slots), rng):
            group = waiting[tile.truth.shape[0], tile.facts.ratio]
            group.append(tile)
            if len(group) == self.batch_size:
                yield collate(group, self.crop, rng)
                group.clear()

    def _samples(self, slot: int, slots: int) -> Iterator[Sample]:
        """This slot's share of every epoch: its own shards, or every slots-th sample if too few."""
        num_samples = sum(shard.row.samples for shard in self.shards)
        if num_samples < slots:
            raise TrainingError(
                f"{slots} readers (ranks x workers) need a sample each; the shards have "
                f"{num_samples}: start fewer, or build more"
            )
        by_shard = len(self.shards) >= slots
        for epoch in count():
            order = np.random.default_rng([self.seed, epoch]).permutation(len(self.shards))
            mine = order[slot::slots] if by_shard else order
            samples = chain.from_iterable(read_shard(self.shards[i]) for i in mine)
            yield from samples if by_shard else islice(samples, slot, None, slots)


def read_shard(shard: ShardRef) -> Iterator[Sample]:
    """Every sample of one tar, through webdataset; all must be as the manifest lists them."""
    # Opened here, not by URL: no name can start a process, and the file is closed again.
    with shard.path.open("rb") as stream:
        magic = stream.read(_BLOCK)[_MAGIC]
        if magic != b"ustar":  # webdataset would also inflate a compressed tar
            raise ContractError(f"{shard.path} is no USTAR file; copy it again")
        stream.seek(0)
        files = wds.tariterators.tar_file_expander([{"url": shard.row.name, "stream": stream}])
        try:
            yield from _checked(shard, wds.tariterators.group_by_keys(files))
        except (tarfile.TarError, ValueError, OSError) as error:
            raise ContractError(f"{shard.path} is damaged: {error}; copy it again") from error


def _checked(shard: ShardRef, raws: Iterator[dict[str, Any]]) -> Iterator[Sample]:
    # webdataset ends a truncated tar without an error, so samples are counted.
    seen = 0
    for raw in raws:
        largest = shard.manifest.largest_array(shard.row)
        gt, ms, pan, facts = decode_sample(_members(shard.path, raw), largest=largest)
        shard.manifest.check_sample(shard.row, raw["__key__"], gt.shape, facts.ratio)
        seen += 1
        yield Sample(truth=gt, ms=ms, pan=pan, facts=facts)
    if seen != shard.row.samples:
        raise ContractError(
            f"{shard.path}: expected {shard.row.samples} samples, got {seen} (truncated?); "
            "copy it again"
        )


def loader(reader: ShardReader, *, workers: int) -> DataLoader[TrainingBatch]:
    """Batches as they are; `workers` processes started by spawn, or none."""
    return DataLoader(
        reader,
        batch_size=None,
        num_workers=workers,
        multiprocessing_context="spawn" if workers else None,
        persistent_workers=workers > 0,
    )


def _members(path: Path, raw: dict[str, Any]) -> dict[str, bytes]:
    members = {name: data for name, data in raw.items() if name not in _SET_BY_WEBDATASET}
    for name in members:
        if name not in ALL_NAMES:
            raise ContractError(
                f"{path}: refused member {raw['__key__']}.{name}; "
                f"a sample holds only {', '.join(MEMBER_NAMES)}"
            )
    return members


def _shuffled(samples: Iterator[Sample], rng: np.random.Generator) -> Iterator[Sample]:
    held: list[Sample] = []
    for sample in samples:
        if len(held) < SHUFFLE_BUFFER:
            held.append(sample)
            continue
        i = int(rng.integers(len(held)))
        yield held[i]
        held[i] = sample


def collate(tiles: list[Sample], side: int, rng: np.random.Generator) -> TrainingBatch:
    """A random crop of each tile, all of one band count, ratio and size, as one batch."""
    ratio = tiles[0].facts.ratio
    layout = BatchLayout(batch=len(tiles), bands=tiles[0].truth.shape[0], side=side, ratio=ratio)
    block = torch.empty(layout.nbytes, dtype=torch.uint8)
    room = (tiles[0].truth.shape[1] - side) // ratio
    pack(tiles, CropTransforms.draw(len(tiles), room, rng), layout, block)
    return unpack(layout, block)
