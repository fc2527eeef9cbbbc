"""Batches by number: the same for any rank, worker and start; what is bad is named."""

from itertools import islice

import numpy as np
import pytest
import torch

from fusiontrain.errors import TrainingError
from fusiontrain.indexed import IndexedShards, ShardSet, batches, find_bad
from fusiontrain.mapped import Listed, read_sample
from fusiontrain.pretrain import parse_set
from fusiontrain.reader import read_shard
from fusiontrain.vetting import Budget
from shards.errors import ContractError
from shards.manifest import Manifest


@pytest.fixture
def build(small_build, tmp_path):
    """A copy that a test may damage."""
    for path in small_build.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def data_of(folder, **changes) -> IndexedShards:
    options = {"batch": 4, "crop": 32, "seed": 0} | changes
    return IndexedShards([ShardSet(folder=folder)], **options)


def equal(a, b) -> bool:
    return torch.equal(a.gt, b.gt) and torch.equal(a.seen.pan, b.seen.pan)


def test_offsets_lead_to_what_webdataset_reads(small_build):
    """Sample for sample, through two readers that share nothing but the contract."""
    manifest = Manifest.load(small_build)
    for row in manifest.shards:
        shard = Listed(folder=small_build, manifest=manifest, row=row)
        for number, theirs in enumerate(read_shard(shard)):
            ours = read_sample(shard, number)
            np.testing.assert_array_equal(theirs.gt, ours.gt)
            np.testing.assert_array_equal(theirs.ms, ours.ms)
            np.testing.assert_array_equal(theirs.pan, ours.pan)
            assert theirs.facts == ours.facts


@pytest.mark.parametrize("world", [2, 4])
def test_ranks_share_out_the_same_global_batches(small_build, world):
    """One rank's batch is the others' put together, crops and all."""
    alone = data_of(small_build)
    ranks = [data_of(small_build, rank=rank, world=world) for rank in range(world)]

    for k in range(12):
        parts = [rank[k] for rank in ranks]
        assert torch.equal(alone[k].gt, torch.cat([part.gt for part in parts]))
        assert torch.equal(alone[k].seen.ms, torch.cat([part.seen.ms for part in parts]))


@pytest.mark.parametrize("workers", [0, 2])
def test_workers_and_starts_change_nothing(small_build, workers):
    """Batch k is batch k, whether reached from 0 or begun at, by one process or two."""
    data = data_of(small_build)
    expected = [data[k] for k in range(5, 9)]

    seen = list(islice(batches(data, start=5, workers=workers), 4))

    assert all(equal(a, b) for a, b in zip(expected, seen, strict=True))


def test_a_pass_sees_every_tile_once(small_build):
    """24 samples in two groups of 12, batches of 4: six batches, no tile twice."""
    data = data_of(small_build)
    drawn = [(data.order[k].group, one.sample) for k in range(6) for one in data.order[k].samples]

    assert 24 == len(drawn) == len(set(drawn))


def test_a_batch_must_divide_by_the_ranks(small_build):
    with pytest.raises(TrainingError, match="must divide"):
        data_of(small_build, batch=5, world=2)


def test_damage_is_found_before_training(build):
    """By size, by hash, by absence; skipping needs a budget."""
    sets = [ShardSet(folder=build)]
    assert {} == find_bad(sets, hashes=True, on_bad="fail")
    tars = sorted(build.glob("*.tar"))
    data = bytearray(tars[0].read_bytes())
    data[3000] ^= 1
    tars[0].write_bytes(data)

    with pytest.raises(ContractError, match="sha256"):
        find_bad(sets, hashes=True, on_bad="fail")
    with pytest.raises(ContractError, match="over the budget"):
        find_bad(sets, hashes=True, on_bad="skip")
    bad = find_bad(sets, hashes=True, on_bad="skip", budget=Budget(share=0.5))
    assert [str(tars[0])] == list(bad)

    left = data_of(build, bad=bad)
    assert all(shard.path != tars[0] for group in left.groups for shard in group.shards)
    assert 18 == sum(group.size for group in left.groups)


def test_an_index_cannot_lead_out_of_its_tar(build):
    """Offsets are the file's word: checked before anything is read."""
    index = min(build.glob("*.idx"))
    text = index.read_text()
    first = text.splitlines()[1].split(" ")
    first[1] = "999999999"
    index.write_text(text.replace(text.splitlines()[1], " ".join(first)))
    manifest = Manifest.load(build)
    row = next(r for r in manifest.shards if r.index_name == index.name)

    with pytest.raises(ContractError, match="refused"):
        read_sample(Listed(folder=build, manifest=manifest, row=row), 0)


def test_shares_are_parsed_and_shared_out(small_build, tmp_path):
    """DIR:0.3 as the issue writes it; a colon in a folder's name is no share."""
    odd = tmp_path / "a:b"
    odd.mkdir()

    assert ShardSet(folder=odd) == parse_set(str(odd))
    assert ShardSet(folder=small_build, share=0.25) == parse_set(f"{small_build}:0.25")
    with pytest.raises(TrainingError, match="above 0"):
        parse_set(f"{small_build}:0")
    sets = [ShardSet(folder=small_build, share=0.75), ShardSet(folder=small_build, share=0.25)]
    data = IndexedShards(sets, batch=4, crop=32, seed=0)
    first = sum(data.order[k].group < 2 for k in range(data.order.begin(10)))
    assert 0.75 == pytest.approx(first / data.order.begin(10), abs=0.02)
    with pytest.raises(TrainingError, match="every shard set a share"):
        IndexedShards([sets[0], ShardSet(folder=small_build)], batch=4, crop=32, seed=0)
