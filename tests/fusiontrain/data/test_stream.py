import io
import tarfile
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch

from fusiontrain.data.shard_file import ShardRef
from fusiontrain.data.stream import ShardReader, loader, read_shard
from fusiontrain.errors import TrainingError
from shards.errors import ContractError
from shards.manifest import Manifest
from shards.schema import decode_sample
from shards.tar import read_samples


@pytest.fixture
def build(small_build, tmp_path):
    """A copy that a test may damage."""
    for path in small_build.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def listed(folder, index=0) -> ShardRef:
    manifest = Manifest.load(folder)
    return ShardRef(folder=folder, manifest=manifest, row=manifest.shards[index])


def reader_of(folder, **changes) -> ShardReader:
    return ShardReader([folder], **({"batch_size": 2, "crop": 32, "seed": 0} | changes))


def test_webdataset_reads_what_was_written(small_build):
    """Sample for sample the same as the strict reader of the contract."""
    shard = listed(small_build)

    for example, (_, members) in zip(read_shard(shard), read_samples(shard.path), strict=True):
        gt, ms, pan, facts = decode_sample(members)
        np.testing.assert_array_equal(gt, example.truth)
        np.testing.assert_array_equal(ms, example.ms)
        np.testing.assert_array_equal(pan, example.pan)
        assert facts == example.facts


def test_a_batch_has_one_band_count_and_fits_together(small_build):
    """Shards of 4 and of 3 bands take turns; batches never mix them."""
    counts = set()
    for batch in islice(reader_of(small_build), 24):
        B, C, h, w = batch.inputs.ms.shape
        counts.add(C)
        assert (2, 8, 8) == (B, h, w)
        assert (2, 1, 32, 32) == batch.inputs.pan.shape
        assert (2, C, 32, 32) == batch.truth.shape
        assert (2, C) == batch.inputs.mtf.shape
    assert {3, 4} == counts


def test_crops_stay_aligned(small_build):
    """However cut, turned and mirrored: MS is still the target, blurred and decimated."""
    from fusiontrain.imaging.filters import degrade

    for batch in islice(reader_of(small_build, crop=64), 12):
        seen = degrade(batch.truth, batch.inputs.mtf, 4)[..., 3:-3, 3:-3]
        ms = batch.inputs.ms[..., 3:-3, 3:-3]
        spread = ms.std((-2, -1)).mean()
        assert float((seen - ms).abs().mean()) < 0.2 * float(spread)


def first_batches(reader, n=10):
    return [b.inputs.ms.sum().item() for b in islice(reader, n)]


def test_order_follows_from_the_seed(small_build):
    """Same seed, same batches; another seed, others; an epoch later, others."""
    assert first_batches(reader_of(small_build)) == first_batches(reader_of(small_build))
    assert first_batches(reader_of(small_build)) != first_batches(reader_of(small_build, seed=1))


@pytest.mark.parametrize(
    "shares", [[24], [12, 12], [12, 6, 6], [4, 4, 4, 3, 3, 3, 3]], ids=lambda s: f"{len(s)} ranks"
)
def test_ranks_share_an_epoch_without_overlap(small_build, shares):
    """Also more ranks than the four shards: every sample once, none twice."""
    taken = []
    for rank, share in enumerate(shares):
        samples = reader_of(small_build)._samples(rank, len(shares))
        taken += [example.facts.source for example in islice(samples, share)]

    assert 24 == len(taken) == len(set(taken))


def test_more_readers_than_samples_are_refused(small_build):
    """A reader without data would wait for ever."""
    with pytest.raises(TrainingError, match="25 readers"):
        next(reader_of(small_build)._samples(0, 25))


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_workers_hand_over_whole_batches(small_build):
    """Started by spawn; batches survive the trip."""
    batches = list(islice(loader(reader_of(small_build), workers=2), 6))

    assert all(torch.isfinite(b.truth).all() for b in batches)
    assert len({b.truth.sum().item() for b in batches}) > 3


def test_an_altered_shard_is_found_before_training(build):
    """Size and hash are the manifest's."""
    tar = build / "shard-000001.tar"
    tar.write_bytes(tar.read_bytes()[:-3000])
    with pytest.raises(ContractError, match="truncated or altered"):
        reader_of(build)


def test_a_tar_truncated_later_is_found_while_reading(build):
    """webdataset ends early without a word; the count tells."""
    shard = listed(build)
    path = shard.path
    whole = path.read_bytes()
    starts = [i for i in range(0, len(whole), 512) if whole[i : i + 9].isdigit()]
    path.write_bytes(whole[: starts[8]])  # at a sample's first header: no error in the tar itself

    with pytest.raises(ContractError, match="expected 6 samples, got 2"):
        list(read_shard(shard))


def test_a_member_beyond_the_contract_is_refused(build):
    """A pickle slipped into a tar is named, never loaded."""
    shard = listed(build)
    path = shard.path
    with tarfile.open(path, "a") as tar:
        info = tarfile.TarInfo("zzz.pickle")
        info.size = 4
        tar.addfile(info, io.BytesIO(b"cos\n"))

    with pytest.raises(ContractError, match=r"refused member zzz.pickle"):
        list(read_shard(shard))


@pytest.mark.parametrize("keep", [300, 1000, 9000, -20000])
def test_a_tar_cut_anywhere_is_our_error(build, keep):
    """Inside a header, inside data."""
    shard = listed(build)
    shard.path.write_bytes(shard.path.read_bytes()[:keep])

    with pytest.raises(ContractError):
        list(read_shard(shard))


def test_a_compressed_tar_is_refused_unread(build):
    """It could inflate to anything."""
    import gzip

    shard = listed(build)
    shard.path.write_bytes(gzip.compress(shard.path.read_bytes()))

    with pytest.raises(ContractError, match="no USTAR file"):
        list(read_shard(shard))


def test_samples_must_be_as_the_manifest_lists_them(build):
    """Another tile size than stated is found at the first sample."""
    manifest = replace(Manifest.load(build), tile=128)
    shard = ShardRef(folder=build, manifest=manifest, row=manifest.shards[0])

    with pytest.raises(ContractError, match=r"must be \(4, 128, 128\)"):
        list(read_shard(shard))


@pytest.mark.parametrize("crop", [4, 30, 128])
def test_crops_that_do_not_fit_are_refused(small_build, crop):
    """Not a multiple of the ratio, or larger than the tile."""
    with pytest.raises(TrainingError, match="--crop must be"):
        reader_of(small_build, crop=crop)
