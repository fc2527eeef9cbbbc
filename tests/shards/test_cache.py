"""Builds at URLs as training takes them: fetched once, checked, repaired."""

import multiprocessing
import shutil
import threading

import pytest

from fusiontrain.data.shard_integrity import find_bad_shards
from fusiontrain.data.shard_location import find_set, split_share
from fusiontrain.errors import TrainingError
from shards import fetching
from shards.cache import cache_folder, default_cache, local_copy
from shards.errors import ContractError, SharingError
from shards.manifest import NAME, Manifest

TAR = "shard-000001.tar"


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    monkeypatch.setattr(fetching, "PAUSE", 0.001)


def names(faults) -> list[str]:
    return [name for name, _ in faults.asked if name != NAME]


def test_a_url_becomes_a_folder_that_training_takes(small_build, web, tmp_path):
    """With its share; nothing of it is bad; the second time only the manifest is asked for."""
    url, faults = web

    found = find_set(f"{url}:0.25", cache=tmp_path)

    assert 0.25 == found.share
    assert Manifest.load(small_build) == Manifest.load(found.folder)
    assert {} == find_bad_shards([found], hashes=True, on_bad="fail")
    assert 8 == len(names(faults))
    faults.asked.clear()
    assert found.folder == find_set(url, cache=tmp_path).folder
    assert [(NAME, "")] == faults.asked


def test_a_file_url_too(small_build, tmp_path):
    found = find_set(f"file://{small_build}", cache=tmp_path)

    assert Manifest.load(small_build) == Manifest.load(found.folder)


def test_a_byte_flipped_on_its_way_gets_no_name(web, tmp_path):
    """Once: fetched again. Always: refused by name, and no manifest vouches for the rest."""
    url, faults = web
    faults.flip = {TAR: 1}
    folder = local_copy(url, tmp_path / "once")
    assert 2 == names(faults).count(TAR)
    assert {} == find_bad_shards([find_set(str(folder))], hashes=True, on_bad="fail")

    faults.flip = {TAR: 99}
    with pytest.raises(ContractError, match=rf"{TAR}: expected sha256"):
        local_copy(url, tmp_path / "always")
    assert not list((tmp_path / "always").glob(f"*/{NAME}"))
    assert not list((tmp_path / "always").glob(f"*/{TAR}"))
    faults.flip = {}
    faults.asked.clear()
    local_copy(url, tmp_path / "always")
    assert [TAR] == names(faults)  # what came whole was kept


def test_a_copy_that_lost_a_file_is_repaired(web, tmp_path):
    url, faults = web
    folder = local_copy(url, tmp_path)
    (folder / TAR).unlink()
    faults.asked.clear()

    assert folder == local_copy(url, tmp_path)
    assert [TAR] == names(faults)


def test_another_build_at_the_same_url_is_another_folder(small_build, web, tmp_path):
    """What was trained on is not overwritten."""
    url, faults = web
    first = local_copy(url, tmp_path / "cache")
    faults.root = tmp_path / "there"
    shutil.copytree(small_build, faults.root)
    text = (faults.root / NAME).read_text()
    (faults.root / NAME).write_text(text.replace('"seed": 5', '"seed": 6'))

    second = local_copy(url, tmp_path / "cache")

    assert (5, 6) == tuple(Manifest.load(folder).seed for folder in (first, second))


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_those_who_come_together_fetch_once(web, tmp_path, kind):
    """Four ranks of a node: each file is asked for once, and all get the same folder."""
    url, faults = web
    if kind == "threads":
        workers = [threading.Thread(target=local_copy, args=(url, tmp_path)) for _ in range(4)]
    else:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["shards.cache"])
        workers = [context.Process(target=local_copy, args=(url, tmp_path)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert 8 == len(names(faults)) == len(set(names(faults)))
    assert 1 == len(list(tmp_path.glob(f"*/{NAME}")))


def test_a_url_without_a_build_is_one_line(web, tmp_path):
    url, faults = web
    faults.root = tmp_path

    with pytest.raises(SharingError, match="404"):
        local_copy(url, tmp_path / "cache")


def test_a_cache_that_cannot_be_is_one_line(web, tmp_path):
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(SharingError, match="`cache`"):
        local_copy(web[0], tmp_path / "file")


@pytest.mark.parametrize(
    ("text", "place", "share"),
    [
        ("dir:0.3", "dir", 0.3),
        ("a:b", "a:b", None),
        ("s3://bucket/a:0.7", "s3://bucket/a", 0.7),
        ("https://host/a", "https://host/a", None),
        ("http://host:8080", "http://host:8080", None),
        ("http://host:8080/a", "http://host:8080/a", None),
        ("http://host:8080/a:2", "http://host:8080/a", 2.0),
    ],
)
def test_a_share_is_distinguished_from_a_port(text, place, share):
    assert (place, share) == split_share(text)


@pytest.mark.parametrize("share", ["0", "-1", "nan", "inf"])
def test_a_share_is_a_positive_number(share):
    with pytest.raises(TrainingError, match="above 0"):
        split_share(f"dir:{share}")


def test_the_users_own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert tmp_path / "panprior" / "shards" == default_cache()
    monkeypatch.setenv("PANPRIOR_CACHE", "/big/disk")
    assert "/big/disk" == str(default_cache())


def test_one_rule_for_all_that_is_cached(monkeypatch, tmp_path):
    """Listings of tars too: theirs once ignored XDG_CACHE_HOME."""
    monkeypatch.delenv("PANPRIOR_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert tmp_path / "panprior" == cache_folder()
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert tmp_path / "home/.cache/panprior/shards" == default_cache()
    monkeypatch.setenv("PANPRIOR_CACHE", "/big/disk")
    assert "/big/disk" == str(cache_folder("shards")) == str(cache_folder())
