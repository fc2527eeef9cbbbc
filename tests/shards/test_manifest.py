import json
import tarfile

import pytest

from shards.errors import ContractError
from shards.manifest import NAME, Manifest, ShardRow


@pytest.fixture
def build(small_build, tmp_path):
    """A copy that a test may damage."""
    for path in small_build.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def test_a_manifest_comes_back(small_build, tmp_path):
    """Dump and load agree, and so do the bytes."""
    manifest = Manifest.load(small_build)
    manifest.dump(tmp_path)

    assert manifest == Manifest.load(tmp_path)
    assert (small_build / NAME).read_bytes() == (tmp_path / NAME).read_bytes()


def test_it_says_what_the_contract_asks(small_build):
    """Recipe and its hash, seed, source, licence, libraries, shards."""
    raw = json.loads((small_build / NAME).read_text())

    assert {"recipe", "recipe_hash", "recipe_data", "seed", "source", "licence"} <= set(raw)
    assert raw["contract_version"] == 1
    assert {"numpy", "nvidia-dali-cuda130", "panprior"} <= set(raw["libraries"])
    listed = {"name", "samples", "bytes", "sha256", "index_sha256", "bands"}
    assert listed == set(raw["shards"][0])
    assert sum(row["samples"] for row in raw["shards"]) == 24


def test_a_whole_build_has_no_problems(build):
    """Sizes and hashes agree."""
    assert list(Manifest.load(build).problems(build)) == []


def test_a_flipped_byte_is_found(build):
    """Same size, other sha256: expected and got are both said."""
    tar = build / "shard-000001.tar"
    data = bytearray(tar.read_bytes())
    data[5000] ^= 1
    tar.write_bytes(data)

    with pytest.raises(ContractError, match=r"shard-000001.tar: expected sha256 \w+, got \w+"):
        Manifest.load(build).check(build)


def test_a_truncated_and_a_missing_tar_are_found(build):
    """By size, without hashing."""
    tar = build / "shard-000000.tar"
    tar.write_bytes(tar.read_bytes()[:-700])
    (build / "shard-000002.tar").unlink()

    problems = list(Manifest.load(build).problems(build, hashes=False))

    assert len(problems) == 2
    assert "truncated" in problems[0]
    assert "no file" in problems[1]


def test_no_manifest_means_no_build(tmp_path):
    """Only what a manifest lists exists."""
    with pytest.raises(ContractError, match="finished build"):
        Manifest.load(tmp_path)
    with pytest.raises(ContractError, match="finished build"):
        Manifest.load(tmp_path / "none")


def test_a_folder_of_photographs_is_named_with_the_command_that_makes_shards(tmp_path):
    """And a folder of builds with one of them."""
    photos = tmp_path / "my photos"
    photos.mkdir()
    (photos / "a.jpg").write_bytes(b"\xff\xd8")
    (tmp_path / "built" / "one").mkdir(parents=True)
    (tmp_path / "built" / "one" / "manifest.json").write_text("{}")

    with pytest.raises(ContractError) as caught:
        Manifest.load(photos)
    assert str(caught.value) == (
        f"{photos} holds no shards: make them with "
        f"`simgen build --dataset folder --source '{photos}' --out DIR --bands 4`"
    )
    with pytest.raises(ContractError, match=r"give one of the builds in it, as .*built/one$"):
        Manifest.load(tmp_path / "built")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"contract_version": 2}, "version 2"),
        ({"shards": [{"name": "x"}]}, "lacks a field"),
        ({"surprise": 1}, "strange"),
        ({"tile": "64"}, "tile must be int"),
        ({"recipe_data": 3}, "recipe_data must be dict"),
    ],
)
def test_manifests_we_do_not_understand_are_refused(build, change, word):
    """Another version, a missing field, an unknown one."""
    raw = json.loads((build / NAME).read_text())
    (build / NAME).write_text(json.dumps(raw | change))

    with pytest.raises(ContractError, match=word):
        Manifest.load(build)


@pytest.mark.parametrize("name", ["../x.tar", "/etc/x.tar", "a/b.tar", "x.tar.gz", "x.zip"])
def test_a_shard_name_is_never_a_path(name):
    """A manifest from outside cannot point elsewhere."""
    with pytest.raises(ContractError, match="beside its manifest"):
        ShardRow(name=name, samples=1, bytes=1, sha256="0", index_sha256="0", bands=4)


@pytest.mark.parametrize("changes", [{"name": 7}, {"samples": "2"}, {"samples": 0}, {"bands": -1}])
def test_rows_hold_what_they_should(changes):
    """Types and signs, from a file that anyone may have written."""
    row = {"name": "x.tar", "samples": 1, "bytes": 1, "sha256": "0", "index_sha256": "0"}

    with pytest.raises(ContractError):
        ShardRow(**(row | {"bands": 4} | changes))


@pytest.mark.parametrize(
    ("members", "words"),
    [
        (["a.jpg", "a.cls", "b.jpg"], "holds cls, jpg and lacks gt.npy, ms.npy, pan.npy, json"),
        (["a.gt.npy", "a.json"], "holds gt.npy, json and lacks ms.npy, pan.npy"),
        (["a.gt.npy", "a.ms.npy", "a.pan.npy", "a.json"], "lacks nothing"),
        (None, "holds nothing and lacks gt.npy"),
    ],
)
def test_tars_of_others_are_told_what_is_missing(tmp_path, members, words):
    """They are no build that stopped halfway."""
    path = tmp_path / "000.tar"
    if members is None:
        path.write_bytes(b"\xff" * 2000)
    else:
        with tarfile.open(path, "w") as tar:
            for name in members:
                tar.addfile(tarfile.TarInfo(name))

    with pytest.raises(ContractError) as caught:
        Manifest.load(tmp_path)

    said = str(caught.value)
    assert "1 tars without manifest.json and .idx" in said
    assert words in said
    assert "it resumes" not in said
    assert "\n" not in said
    made = f"simgen build --dataset tar --source '{tmp_path}' --out NEW"
    assert ("lacks nothing" in said) != (made in said)
    for named in (path, tmp_path / "*.tar"):
        with pytest.raises(ContractError, match=r"1 tars without manifest\.json"):
            Manifest.load(named)
    (tmp_path / "build.json").write_text("{}")
    with pytest.raises(ContractError, match="it resumes"):
        Manifest.load(tmp_path)
