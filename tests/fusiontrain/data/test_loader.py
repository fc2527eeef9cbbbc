"""Batches by number: the same for any rank, worker and start."""

import hashlib
import multiprocessing
import os
import signal
from itertools import islice

import numpy as np
import pytest
import torch

from fusiontrain.data.crops import BatchLayout, CropTransforms, pack, unpack
from fusiontrain.data.dataset import IndexedShards
from fusiontrain.data.loader import BatchLoader
from fusiontrain.data.shard_file import ShardRef, read_sample
from fusiontrain.data.shard_integrity import ShardSet
from fusiontrain.data.shard_location import find_set
from fusiontrain.data.shard_stream import read_shard
from fusiontrain.errors import TrainingError
from shards.manifest import Manifest

NUMBER = 14  # batches: over two passes of the 24 samples


def data_of(folder, **changes) -> IndexedShards:
    options = {"batch": 4, "crop": 32, "seed": 0} | changes
    return IndexedShards([ShardSet(folder=folder)], **options)


def tensors(batch):
    seen = batch.inputs
    return batch.truth, seen.ms, seen.pan, seen.mtf, seen.softness


def digest(parts) -> str:
    """Of a global batch, put together from its ranks' parts."""
    hasher = hashlib.sha256()
    for pieces in zip(*(tensors(part) for part in parts), strict=True):
        hasher.update(torch.cat(pieces).numpy().tobytes())
    return hasher.hexdigest()


def test_offsets_lead_to_what_webdataset_reads(small_build):
    """Sample for sample, through two readers that share nothing but the contract."""
    manifest = Manifest.load(small_build)
    for row in manifest.shards:
        shard = ShardRef(folder=small_build, manifest=manifest, row=row)
        for number, theirs in enumerate(read_shard(shard)):
            ours = read_sample(shard, number)
            np.testing.assert_array_equal(theirs.truth, ours.truth)
            np.testing.assert_array_equal(theirs.ms, ours.ms)
            np.testing.assert_array_equal(theirs.pan, ours.pan)
            assert theirs.facts == ours.facts


@pytest.fixture(scope="module")
def expected(small_build):
    """Hash of every global batch, read by one process without workers."""
    data = data_of(small_build)
    hashes = [digest([data[k]]) for k in range(NUMBER)]
    assert NUMBER == len(set(hashes))
    return hashes


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("world", [1, 2, 4])
def test_global_batches_are_the_same_for_any_ranks_and_workers(
    small_build, expected, world, workers
):
    """Every batch, by its hash; 4 ranks of 3 workers are thrice as many readers as shards."""
    ranks = [
        islice(
            BatchLoader(data_of(small_build, rank=r, world=world), start=0, workers=workers), NUMBER
        )
        for r in range(world)
    ]
    found = [digest(parts) for parts in zip(*ranks, strict=True)]

    assert expected == found


@pytest.mark.parametrize("workers", [0, 1])
def test_any_start_is_a_place_in_the_same_order(small_build, expected, workers):
    """Batch k is batch k, whether reached from 0 or begun at."""
    feed = BatchLoader(data_of(small_build), start=5, workers=workers)

    assert expected[5:] == [digest([batch]) for batch in islice(feed, NUMBER - 5)]


def test_batches_that_were_given_stay_as_they_were(small_build):
    """Blocks are used again by workers; what was made of them is not."""
    feed = BatchLoader(data_of(small_build), start=0, workers=1)
    kept, hashes = [], []
    for batch in islice(feed, NUMBER):
        kept.append(batch)
        hashes.append(digest([batch]))

    assert hashes == [digest([batch]) for batch in kept]


def test_workers_outlive_the_signals_that_stop_a_run(small_build, expected):
    """Slurm sends them to every process of a job; who saves still wants batches."""
    others = set(multiprocessing.active_children())  # of tests before
    feed = iter(BatchLoader(data_of(small_build), start=0, workers=1))
    found = [digest([next(feed)])]
    (worker,) = set(multiprocessing.active_children()) - others
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        os.kill(worker.pid, number)
    found += [digest([batch]) for batch in islice(feed, NUMBER - 1)]

    assert expected == found


def test_a_worker_that_dies_is_one_error(small_build):
    """As where memory runs out, or a disk fails below a mapped file."""
    others = set(multiprocessing.active_children())  # of tests before
    feed = iter(BatchLoader(data_of(small_build), start=0, workers=1))
    next(feed)
    (worker,) = set(multiprocessing.active_children()) - others
    os.kill(worker.pid, signal.SIGKILL)

    with pytest.raises(TrainingError, match="a reader process has ended"):
        for _ in islice(feed, 50):
            pass


@pytest.mark.parametrize("mirrored", [0, 1])
@pytest.mark.parametrize("turns", range(4))
def test_crops_are_turned_as_numpy_turns_them(small_build, turns, mirrored):
    """Each of the eight orientations, GT, MS and PAN alike, from where it was asked."""
    manifest = Manifest.load(small_build)
    tile = read_sample(ShardRef(folder=small_build, manifest=manifest, row=manifest.shards[0]), 0)
    layout = BatchLayout(batch=1, bands=4, side=32, ratio=4)
    block = torch.empty(layout.nbytes, dtype=torch.uint8)
    one = {"y": 3, "x": 7, "turns": turns, "mirrored": mirrored}
    pack(
        [tile],
        CropTransforms(**{name: np.array([value]) for name, value in one.items()}),
        layout,
        block,
    )

    batch = unpack(layout, block)

    def slowly(image, step):
        part = np.rot90(image[:, 3 * step :, 7 * step :][:, : 8 * step, : 8 * step], turns, (1, 2))
        return (np.flip(part, 1) if mirrored else part).astype(np.float32)[None]

    np.testing.assert_array_equal(slowly(tile.truth, 4), batch.truth)
    np.testing.assert_array_equal(slowly(tile.ms, 1), batch.inputs.ms)
    np.testing.assert_array_equal(slowly(tile.pan, 4), batch.inputs.pan)
    np.testing.assert_array_equal(np.float32([tile.facts.mtf_ms]), batch.inputs.mtf)
    np.testing.assert_array_equal(np.float32([tile.facts.softness]), batch.inputs.softness)


def test_dn_of_sixteen_bits_stay_positive():
    """65535 is no -1."""
    layout = BatchLayout(batch=1, bands=1, side=4, ratio=2)
    block = torch.zeros(layout.nbytes, dtype=torch.uint8)
    layout.parts(block)["truth"].fill_(65535)

    assert 65535.0 == unpack(layout, block).truth.min()


def test_a_pass_sees_every_tile_once(small_build):
    """24 samples in two groups of 12, batches of 4: six batches, no tile twice."""
    data = data_of(small_build)
    drawn = [(data.order[k].group, one.sample) for k in range(6) for one in data.order[k].samples]

    assert 24 == len(drawn) == len(set(drawn))


def test_a_batch_must_divide_by_the_ranks(small_build):
    with pytest.raises(TrainingError, match="must divide"):
        data_of(small_build, batch=5, world=2)


def test_shares_are_parsed_and_shared_out(small_build, tmp_path):
    """DIR:0.3 as the issue writes it; a colon in a folder's name is no share."""
    odd = tmp_path / "a:b"
    odd.mkdir()

    assert ShardSet(folder=odd) == find_set(str(odd))
    assert ShardSet(folder=small_build, share=0.25) == find_set(f"{small_build}:0.25")
    with pytest.raises(TrainingError, match="above 0"):
        find_set(f"{small_build}:0")
    sets = [ShardSet(folder=small_build, share=0.75), ShardSet(folder=small_build, share=0.25)]
    data = IndexedShards(sets, batch=4, crop=32, seed=0)
    first = sum(data.order[k].group < 2 for k in range(data.order.begin(10)))
    assert 0.75 == pytest.approx(first / data.order.begin(10), abs=0.02)
    with pytest.raises(TrainingError, match="every shard set a share"):
        IndexedShards([sets[0], ShardSet(folder=small_build)], batch=4, crop=32, seed=0)
