"""Batches of shards that are read from a server on loopback as they come."""

import io
from itertools import islice
from urllib.parse import urlsplit

import pytest
import torch

import shards.fetching
from fusiontrain.data import stream, stream_order
from fusiontrain.data.dataset import IndexedShards
from fusiontrain.data.loader import BatchLoader
from fusiontrain.data.shard_integrity import ShardSet
from fusiontrain.data.shard_location import StreamSet, find_stream
from fusiontrain.data.shard_stream import TRIES, StreamedShard, stream_shard
from fusiontrain.data.stream import StreamedShards
from fusiontrain.errors import TrainingError
from fusiontrain.imaging.filters import degrade
from shards.errors import ContractError, SharingError
from shards.manifest import Manifest

TAR = "shard-000001.tar"


@pytest.fixture(autouse=True)
def small_buffer(monkeypatch):
    """The build has 24 samples in two groups: twice the buffer is a pass of one reader."""
    monkeypatch.setattr(stream, "BUFFER", 6)
    monkeypatch.setattr(stream_order, "BUFFER", 6)
    monkeypatch.setattr(shards.fetching, "PAUSE", 0.001)


def data_of(url, **changes) -> StreamedShards:
    options = {"batch": 4, "crop": 32, "seed": 0} | changes
    return StreamedShards([StreamSet(url=url)], **options)


def tensors(batch):
    inputs = batch.inputs
    return batch.truth, inputs.ms, inputs.pan, inputs.mtf, inputs.softness


def assert_same(one, other):
    for a, b in zip(tensors(one), tensors(other), strict=True):
        assert torch.equal(a, b)


def shard_at(url, folder, index=1) -> StreamedShard:
    manifest = Manifest.load(folder)
    return StreamedShard(url=url, manifest=manifest, row=manifest.shards[index])


def test_batches_have_the_shapes_of_the_exact_order(web, small_build):
    """Step for step the band count that the exact reader has: ranks train on equal shapes."""
    exact = IndexedShards([ShardSet(folder=small_build)], batch=4, crop=32, seed=0)
    counts = set()
    for k, batch in enumerate(islice(BatchLoader(data_of(web[0]), start=0, workers=0), 12)):
        assert exact[k].truth.shape == batch.truth.shape
        assert exact[k].inputs.ms.shape == batch.inputs.ms.shape
        counts.add(batch.truth.shape[1])
    assert {3, 4} == counts


def test_crops_stay_aligned(web):
    """However cut, turned and mirrored: MS is still the truth, blurred and decimated."""
    for batch in islice(BatchLoader(data_of(web[0], crop=64), start=0, workers=0), 6):
        again = degrade(batch.truth, batch.inputs.mtf, 4)[..., 3:-3, 3:-3]
        ms = batch.inputs.ms[..., 3:-3, 3:-3]
        assert float((again - ms).abs().mean()) < 0.2 * float(ms.std((-2, -1)).mean())


def test_the_names_of_a_batch_are_what_was_read(web, small_build):
    """And a pass takes each sample once: 24 samples, six batches."""
    data = data_of(web[0], crop=64)
    names = []
    for k in range(6):
        read = [sample.facts.source for sample in data.samples(k)]
        for name, source in zip(data.sample_names(k), read, strict=True):
            place, _, number = name.rpartition(": sample ")
            index = int(place.rpartition("-")[2].removesuffix(".tar"))
            shard = shard_at(web[0], small_build, index)
            (sample,) = stream_shard(shard, range(int(number), int(number) + 1))
            assert source == sample.facts.source
        names += data.sample_names(k)
    assert 24 == len(set(names))


@pytest.mark.parametrize(("world", "workers"), [(1, 0), (2, 1), (2, 3)])
def test_reading_goes_on_from_any_batch(web, world, workers):
    """Batch k is the same whether 0..k-1 were read before it or not."""
    for rank in range(world):
        options = {"rank": rank, "world": world, "workers": workers}
        walked = data_of(web[0], **options)
        batches = [walked[k] for k in range(14)]
        for start in (1, 5, 13):
            assert_same(batches[start], data_of(web[0], **options)[start])


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_workers_give_the_batches_of_their_lanes(small_build, monkeypatch):
    """Two processes, from the middle: what one process without workers reads in the same lanes."""
    monkeypatch.undo()  # workers have the buffer's real size
    url = small_build.as_uri()
    there = data_of(url, workers=2)
    for k, batch in zip(range(3, 8), BatchLoader(there, start=3, workers=2), strict=False):
        assert_same(data_of(url, workers=2)[k], batch)


def test_ranks_take_other_samples_of_a_pass(web):
    """Two ranks, six batches of two samples each: all 24, none twice."""
    taken = [
        sample.facts.source
        for rank in range(2)
        for data in [data_of(web[0], rank=rank, world=2, crop=64)]
        for k in range(6)
        for sample in data.samples(k)
    ]
    assert 24 == len(taken) == len(set(taken))


def test_a_saved_place_is_the_shard_that_is_read_next(web):
    """Going on opens that shard first, at its beginning, and no other before it."""
    url, faults = web
    data = data_of(url)
    k = 9
    group = data.order.group_of(k)
    (place,) = [p for p in data.places(k) if p["group"] == group]
    fresh = data_of(url)
    faults.asked.clear()
    fresh[k]
    assert (place["shard"], "") == faults.asked[0]


def test_broken_connections_go_on_where_they_broke(web, small_build):
    """503s, early ends and resets in the middle: the same samples, by Range."""
    url, faults = web
    whole = [sample.facts.source for sample in stream_shard(shard_at(url, small_build), range(6))]
    faults.unavailable[TAR] = 2
    faults.cut[TAR] = [40_000, 0, 70_000]
    faults.asked.clear()
    again = [sample.facts.source for sample in stream_shard(shard_at(url, small_build), range(6))]
    assert whole == again
    assert [name for name, at in faults.asked if at.startswith("bytes=4")]


def test_a_server_that_stays_away_is_one_line(web, small_build):
    """After so many tries; the line says what to do, and nothing that webdataset adds."""
    url, faults = web
    faults.unavailable[TAR] = 100
    with pytest.raises(SharingError) as caught:
        list(stream_shard(shard_at(url, small_build), range(6)))
    message, advice = str(caught.value).splitlines()
    assert f"{TAR}: the server answers 503" in message
    assert advice.startswith("  do: the same command goes on at this shard")
    assert TRIES == [name for name, _ in faults.asked].count(TAR)


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_a_failure_in_a_worker_is_the_same_line(tmp_path, small_build):
    """Not its traceback."""
    manifest = Manifest.load(small_build)
    manifest.dump(tmp_path)  # and no shard
    feed = iter(BatchLoader(data_of(tmp_path.as_uri(), workers=1), start=0, workers=1))
    with pytest.raises(SharingError, match=r"no shard-00000\d.tar there\n  do: the same command"):
        next(feed)


@pytest.mark.parametrize("change", ["flip", "short", "long"])
def test_other_bytes_than_listed_end_the_reading(web, small_build, tmp_path, change):
    """Each shard is hashed as it comes; a changed pixel is found at the shard's end."""
    url, faults = web
    for path in small_build.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    faults.root = tmp_path
    data = (tmp_path / TAR).read_bytes()
    if change == "flip":
        faults.flip[TAR] = 100
    else:
        (tmp_path / TAR).write_bytes(data[:-512] if change == "short" else data + bytes(512))
    words = {"flip": "another sha256", "short": f"got {len(data) - 512}", "long": "got more"}
    with pytest.raises(ContractError, match=words[change]):
        list(stream_shard(shard_at(url, small_build), range(6)))


def test_credentials_stay_out_of_messages(web, small_build):
    url, faults = web
    parts = urlsplit(url)
    secret = f"http://user:secret@{parts.netloc}{parts.path}?token=hidden"
    faults.login = "Basic nobody"
    with pytest.raises(SharingError) as caught:
        list(stream_shard(shard_at(secret, small_build), range(6)))
    assert not {"secret", "hidden", "user"} & set(io.StringIO(str(caught.value)).read().split())
    assert "secret" not in str(caught.value)
    assert "hidden" not in str(caught.value)


def test_shares_decide_the_groups(web, small_build):
    """As on disk: the group of each batch is the exact order's."""
    url = web[0]
    sets = [StreamSet(url=url, share=0.9), StreamSet(url=url, share=0.1)]
    streamed = StreamedShards(sets, batch=4, crop=32, seed=0)
    on_disk = [ShardSet(folder=small_build, share=share) for share in (0.9, 0.1)]
    exact = IndexedShards(on_disk, batch=4, crop=32, seed=0)
    groups = [exact.order[k].group for k in range(200)]
    assert groups == [streamed.order.group_of(k) for k in range(200)]
    assert 170 < sum(group < 2 for group in groups) < 190


def test_more_readers_than_samples_are_refused(web):
    """24 samples in two groups of 12."""
    with pytest.raises(TrainingError, match="16 readers"):
        data_of(web[0], world=4, workers=4)


@pytest.mark.parametrize("crop", [4, 30, 128])
def test_crops_that_do_not_fit_are_refused(web, crop):
    """Not a multiple of the ratio, or larger than the sample."""
    with pytest.raises(TrainingError, match="`crop` must be"):
        data_of(web[0], crop=crop)


def test_a_folder_is_a_place_too(small_build):
    """DIR is read through file://, with its share."""
    found = find_stream(f"{small_build}:0.5")
    assert StreamSet(url=f"file://{small_build}", share=0.5) == found
    assert 4 == len(list(data_of(found.url).samples(0)))
