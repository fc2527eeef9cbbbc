"""Samples of one tar, through webdataset."""

import io
import tarfile
from dataclasses import replace

import numpy as np
import pytest

from fusiontrain.data.shard_file import ShardRef
from fusiontrain.data.shard_stream import read_shard
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


def test_webdataset_reads_what_was_written(small_build):
    """Sample for sample the same as the strict reader of the contract."""
    shard = listed(small_build)

    for example, (_, members) in zip(read_shard(shard), read_samples(shard.path), strict=True):
        gt, ms, pan, facts = decode_sample(members)
        np.testing.assert_array_equal(gt, example.truth)
        np.testing.assert_array_equal(ms, example.ms)
        np.testing.assert_array_equal(pan, example.pan)
        assert facts == example.facts


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
