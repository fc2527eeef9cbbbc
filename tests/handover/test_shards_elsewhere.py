"""A shard is readable without our code: plain webdataset, wids, DALI."""

import io
import json
import tarfile

import numpy as np
import pytest

from shards.manifest import Manifest
from shards.schema import decode_sample
from shards.tar import read_samples


@pytest.fixture(scope="module")
def first(small_build):
    """Path of the first shard and its samples, read strictly."""
    row = Manifest.load(small_build).shards[0]
    path = small_build / row.name
    return path, [(key, decode_sample(members)) for key, members in read_samples(path)]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # the library leaves its file open
def test_plain_webdataset_decodes_it(first):
    """With the library's own decoders."""
    import webdataset as wds

    path, expected = first

    seen = list(wds.WebDataset([str(path)], shardshuffle=False).decode())

    assert [key for key, _ in expected] == [sample["__key__"] for sample in seen]
    for sample, (_, (gt, ms, pan, facts)) in zip(seen, expected, strict=True):
        np.testing.assert_array_equal(gt, sample["gt.npy"])
        np.testing.assert_array_equal(ms, sample["ms.npy"])
        np.testing.assert_array_equal(pan, sample["pan.npy"])
        assert facts.bits == sample["json"]["bits"]


def test_wids_finds_every_sample(small_build, first, monkeypatch, tmp_path):
    """By its index, at random."""
    import wids

    monkeypatch.chdir(small_build)
    # Its default cache, one a machine, would show the shards of an older build of that name.
    dataset = wids.ShardListDataset("wids.json", transformations=[], cache_dir=str(tmp_path))

    assert 24 == len(dataset)
    np.testing.assert_array_equal(
        first[1][2][1][0], np.load(io.BytesIO(dataset[2][".gt.npy"].read()))
    )


def test_dali_reads_it_through_its_index(small_build, first):
    """fn.readers.webdataset and fn.decoders.numpy, on the CPU."""
    from nvidia.dali import fn, pipeline_def

    path, expected = first

    @pipeline_def(batch_size=6, num_threads=1, device_id=None)
    def graph():
        gt, pan = fn.readers.webdataset(
            paths=[str(path)],
            index_paths=[str(path.with_suffix(".idx"))],
            ext=["gt.npy", "pan.npy"],
        )
        return fn.decoders.numpy(gt), fn.decoders.numpy(pan)

    pipe = graph()
    pipe.build()
    gt, pan = pipe.run()

    for i, (_, sample) in enumerate(expected):
        np.testing.assert_array_equal(sample[0], np.array(gt.at(i)))
        np.testing.assert_array_equal(sample[2], np.array(pan.at(i)))


def test_tar_and_json_are_enough(first):
    """The standard library and numpy."""
    path, expected = first

    with tarfile.open(path) as tar:
        names = tar.getnames()
        key = expected[0][0]
        assert [f"{key}.{m}" for m in ("gt.npy", "ms.npy", "pan.npy", "json")] == names[:4]
        facts = json.load(tar.extractfile(names[3]))
        gt = np.load(io.BytesIO(tar.extractfile(names[0]).read()), allow_pickle=False)

    assert np.dtype("<u2") == gt.dtype
    keys = {"sensor", "bits", "ratio", "mtf_ms", "mtf_pan", "softness", "source", "recipe", "seed"}
    assert keys == set(facts)
