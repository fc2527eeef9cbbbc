"""WebDataset shards of images, made by webdataset's own writer and by tarfile."""

import io
import tarfile
import tracemalloc

import pytest
import webdataset

from shards.manifest import Manifest
from shards.schema import KEY_GRAMMAR, decode_sample
from shards.tar import read_samples
from simgen.building.build import run_build
from simgen.errors import SourceError
from simgen.sources import open_source


def write_tar(path, members):
    """A plain tar of (name, bytes)."""
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


@pytest.fixture
def tars(tmp_path, make_jpeg):
    """Two WebDataset shards: three images with captions, and one that is cut."""
    root = tmp_path / "wds"
    root.mkdir()
    with webdataset.TarWriter(str(root / "train-000000.tar"), encoder=False) as tar:
        for i in range(3):
            tar.write({"__key__": f"a/{i:03d}", "jpg": make_jpeg(seed=i), "txt": b"a house"})
    with webdataset.TarWriter(str(root / "train-000001.tar"), encoder=False) as tar:
        tar.write({"__key__": "004", "jpeg": make_jpeg(seed=4), "json": b"{}"})
        tar.write({"__key__": "005", "jpg": make_jpeg(seed=5)[:900]})
    return root


def test_members_are_what_webdataset_reads(tars):
    """The same bytes in the same order as webdataset itself."""
    photos = open_source("tar", tars).photos
    rows = []
    for path in sorted(tars.glob("*.tar")):
        with path.open("rb") as file:
            rows += webdataset.tariterators.tar_file_iterator(file)

    expected = [row["data"] for row in rows if row["fname"].endswith(("jpg", "jpeg"))]
    assert expected == [p.read() for p in photos]
    assert all(KEY_GRAMMAR.fullmatch(photo.key) for photo in photos)
    assert len({photo.key for photo in photos}) == 5


def test_tars_become_shards_twice_alike(tars, tmp_path, small_build_of):
    """Built, with the bad member named; the same bytes again."""
    first = run_build(small_build_of("tar", tars, tmp_path / "a"), workers=1)
    run_build(small_build_of("tar", tars, tmp_path / "b"), workers=1)

    assert 8 == first.samples
    (bad,) = first.rejected
    assert "005" in bad.source
    assert "truncated" in bad.reason
    assert first.to_json() == Manifest.load(tmp_path / "b").to_json()
    keys = {photo.key for photo in open_source("tar", tars).photos}
    for row in first.shards:
        for _, members in read_samples(tmp_path / "a" / row.name):
            assert decode_sample(members)[3].source.partition("#")[0] in keys


def test_one_tar_a_folder_or_a_glob(tars):
    """Three ways to say it."""
    assert 5 == len(open_source("tar", tars).photos)
    assert 5 == len(open_source("tar", tars / "train-*.tar").photos)
    assert 3 == len(open_source("tar", tars / "train-000000.tar").photos)
    with pytest.raises(SourceError, match=r"no \.tar files"):
        open_source("tar", tars / "test-*.tar")


def test_the_digest_follows_the_data(tars, make_jpeg, tmp_path):
    """One byte altered in place, one member more, another name."""
    before = open_source("tar", tars).digest
    path = tars / "train-000000.tar"
    data = bytearray(path.read_bytes())
    data[2000] ^= 1
    path.write_bytes(data)
    altered = open_source("tar", tars).digest
    write_tar(tars / "train-000002.tar", [("9.png", make_jpeg())])
    more = open_source("tar", tars).digest
    path.rename(tars / "other.tar")

    assert 4 == len({before, altered, more, open_source("tar", tars).digest})


def test_names_are_never_paths(tmp_path, make_jpeg):
    """Absolute, climbing, quoted, unprintable and twice: keys, or named in the rejected."""
    names = [
        "/etc/passwd.jpg",
        "../../up.jpg",
        "a b\n\x1b[31m.jpg",
        "ü/é.jpg",
        "x.y.z.jpg",
        ".h.jpg",
    ]
    members = [(name, make_jpeg(120, 120)) for name in (*names, "x.y.z.jpg", "A B.jpg", "a b.jpg")]
    source = open_source("tar", write_tar(tmp_path / "odd.tar", members))

    keys = [photo.key for photo in source.photos]
    assert 7 == len(set(keys))
    assert all(KEY_GRAMMAR.fullmatch(key) for key in keys)
    assert ["a second member of this name"] == [r.reason for r in source.rejected]


def test_a_tar_that_breaks_off_keeps_its_whole_members(tmp_path, make_jpeg):
    """And says where."""
    path = write_tar(tmp_path / "t.tar", [(f"{i}.jpg", make_jpeg(seed=i)) for i in range(4)])
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[: size // 2])

    source = open_source("tar", path)

    assert 1 <= len(source.photos) < 4
    assert "t.tar" in source.rejected[0].reason
    for photo in source.photos:
        photo.read()


def test_no_tar_and_no_images_are_one_line(tmp_path):
    """Gzip, text, tars of text."""
    (tmp_path / "x.tar").write_text("no tar at all" * 100)
    with pytest.raises(SourceError, match="no uncompressed tar"):
        open_source("tar", tmp_path / "x.tar")
    write_tar(tmp_path / "y.tar", [("a.txt", b"text")])
    with pytest.raises(SourceError, match="no images"):
        open_source("tar", tmp_path / "y.tar")
    with pytest.raises(SourceError, match="takes no `filters`"):
        open_source("tar", tmp_path, filters=("gsd<1",))


def test_a_lying_size_costs_no_memory(tmp_path, make_jpeg):
    """A header that claims eight gigabytes: rejected while listing."""
    vast = tarfile.TarInfo("vast.jpg")
    vast.size = 8 << 30
    path = write_tar(tmp_path / "bomb.tar", [("good.jpg", make_jpeg())])
    with tarfile.open(path) as tar:
        end = tar.getmembers()[0].offset_data + -(-tar.getmembers()[0].size // 512) * 512
    path.write_bytes(path.read_bytes()[:end] + vast.tobuf() + b"x" * 4096)

    tracemalloc.start()
    source = open_source("tar", path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 5_000_000
    assert 1 == len(source.photos)
    assert "truncated inside" in source.rejected[0].reason


def test_a_large_tar_is_walked_once(tars, tmp_path, monkeypatch):
    """The next listing is the same without a walk; a changed tar or a damaged note is walked."""
    from simgen.sources import tar_listing_cache
    from simgen.sources import tars as module

    monkeypatch.setattr(tar_listing_cache, "LEAST", 0)
    monkeypatch.setenv("PANPRIOR_CACHE", str(tmp_path / "cache"))
    true_walk, walked = module.walk, []

    def walk(table, file, path, start, end):
        walked.append(path.name)
        return true_walk(table, file, path, start, end)

    monkeypatch.setattr(module, "walk", walk)

    def listing():
        walked.clear()
        source = open_source("tar", tars)
        return source.digest, [(photo.key, photo.read()) for photo in source.photos]

    first = listing()
    assert ["train-000000.tar", "train-000001.tar"] == walked
    assert first == listing()
    assert [] == walked
    path = tars / "train-000000.tar"
    path.write_bytes(path.read_bytes())
    assert first == listing()
    assert ["train-000000.tar"] == walked
    for note in (tmp_path / "cache").iterdir():
        note.write_bytes(note.read_bytes()[:100])
    assert first == listing()
    assert 2 == len(walked)


def test_a_small_or_broken_tar_is_not_noted(tars, tmp_path, monkeypatch):
    """Nothing is left behind where it is not worth it, or not whole."""
    from simgen.sources import tar_listing_cache

    monkeypatch.setenv("PANPRIOR_CACHE", str(tmp_path / "cache"))
    open_source("tar", tars)
    monkeypatch.setattr(tar_listing_cache, "LEAST", 0)
    path = tars / "train-000000.tar"
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    open_source("tar", path)

    assert not (tmp_path / "cache").exists()


def test_what_img2dataset_writes_is_read_as_it_is(tmp_path, make_jpeg):
    """Its webdataset output: 00000.tar, and a parquet and a JSON of statistics beside it."""
    root = tmp_path / "laion"
    root.mkdir()
    images = [make_jpeg(seed=i) for i in range(3)]
    members = [
        (f"{i:09d}.{ending}", data)
        for i, image in enumerate(images)
        for ending, data in (("jpg", image), ("json", b'{"status": "success"}'), ("txt", b"a road"))
    ]
    write_tar(root / "00000.tar", members)
    (root / "00000.parquet").write_bytes(b"PAR1")
    (root / "00000_stats.json").write_text("{}")

    assert images == [photo.read() for photo in open_source("tar", root).photos]
