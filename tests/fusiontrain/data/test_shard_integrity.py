"""Every way in which a shard may be bad: named before training, or while it is read."""

import hashlib
import io
import json
import subprocess
import sys
import tarfile
from dataclasses import replace

import numpy as np
import pytest

from fusiontrain.data.dataset import IndexedShards
from fusiontrain.data.loader import BatchLoader
from fusiontrain.data.shard_file import ShardRef, forget_open, read_sample
from fusiontrain.data.shard_integrity import BadTolerance, ShardSet, find_bad_shards
from fusiontrain.errors import TrainingError
from shards.errors import ContractError
from shards.index import dali_index
from shards.manifest import NAME, Manifest, file_sha256
from shards.tar import read_samples
from tests.support.paths import ROOT

TAR, INDEX = "shard-000001.tar", "shard-000001.idx"


@pytest.fixture
def build(small_build, tmp_path):
    """A copy that a test may damage: four shards of six samples."""
    forget_open()
    for path in small_build.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def check(folder, on_bad="fail", **more):
    return find_bad_shards([ShardSet(folder=folder)], hashes=True, on_bad=on_bad, **more)


def first_of(folder) -> ShardRef:
    manifest = Manifest.load(folder)
    (row,) = (row for row in manifest.shards if row.name == TAR)
    return ShardRef(folder=folder, manifest=manifest, row=row)


def vouch(folder) -> None:
    """Make the manifest say that the second shard, damaged, is as it should be."""
    path = folder / NAME
    raw = json.loads(path.read_bytes())
    row = raw["shards"][1]
    assert TAR == row["name"]
    row["bytes"] = (folder / TAR).stat().st_size
    row["sha256"], row["index_sha256"] = (file_sha256(folder / n) for n in (TAR, INDEX))
    path.write_text(json.dumps(raw))


def rewrite(folder, change) -> None:
    """The second shard and its index anew, of what `change` makes of its members."""
    members = [
        (f"{key}.{name}", data)
        for key, sample in read_samples(folder / TAR)
        for name, data in sample.items()
    ]
    places, offset = {}, 0
    with tarfile.open(folder / TAR, "w", format=tarfile.USTAR_FORMAT) as tar:
        for full, data in change(members):
            info = tarfile.TarInfo(full)
            info.size = len(data)
            offset = tar.offset + 512
            tar.addfile(info, io.BytesIO(data))
            key, _, name = full.partition(".")
            places.setdefault(key, []).append(f"{name} {offset} {len(data)} {full}")
    lines = [f"v1.2 {len(places)}", *(" ".join(words) for words in places.values())]
    (folder / INDEX).write_text("\n".join(lines) + "\n")
    vouch(folder)


def test_a_good_build_has_no_bad_shard(build):
    """Nor has it after `rewrite`: what the tests below find is what they put there."""
    assert {} == check(build)
    before = (build / TAR).read_bytes(), (build / INDEX).read_bytes()
    rewrite(build, lambda members: members)

    assert before == ((build / TAR).read_bytes(), (build / INDEX).read_bytes())
    assert {} == check(build)


@pytest.mark.parametrize("where", ["header", "data", "between members", "between samples", "end"])
def test_a_truncated_tar_is_found(build, where):
    """Five places, before training by its size; at reading, should it happen later."""
    shard = first_of(build)
    with tarfile.open(shard.path) as tar:
        infos = tar.getmembers()
    at = {
        "header": infos[5].offset + 100,
        "data": infos[5].offset_data + 1000,
        "between members": infos[5].offset,
        "between samples": infos[8].offset,
        "end": shard.row.bytes - 1024,
    }
    read_sample(shard, 0)
    with shard.path.open("r+b") as file:
        file.truncate(at[where])

    with pytest.raises(ContractError, match=rf"{TAR}: expected \d+ bytes, got {at[where]}"):
        check(build)
    for number in range(6):  # whether the file is open already or not
        with pytest.raises(ContractError, match=TAR):
            read_sample(shard, number)
        forget_open()


def test_a_flipped_byte_is_found(build):
    """In the tar or its index, by sha256; skipping needs a budget, and leaves out that shard."""
    path = build / TAR
    data = bytearray(path.read_bytes())
    data[3000] ^= 1
    path.write_bytes(data)

    with pytest.raises(ContractError, match="sha256"):
        check(build)
    with pytest.raises(ContractError, match=r"6 of 24 samples, over the budget of 5.000%"):
        check(build, "skip")
    for budget in (BadTolerance(percent=50), BadTolerance(count=1)):
        bad = check(build, "skip", budget=budget)
        assert [(0, TAR)] == list(bad)
    with pytest.raises(ContractError, match="over the budget of 0 shards"):
        check(build, "skip", budget=BadTolerance(count=0))
    left = IndexedShards([ShardSet(folder=build)], batch=4, crop=32, seed=0, bad=bad)
    assert path not in [shard.path for group in left.groups for shard in group.shards]
    assert 18 == sum(group.size for group in left.groups)
    index = build / "shard-000002.idx"
    index.write_bytes(index.read_bytes().replace(b"512", b"513", 1))
    assert 2 == len(check(build, "skip", budget=BadTolerance(count=2)))


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("5%", BadTolerance(percent=5)),
        ("0", BadTolerance(count=0)),
        ("7", BadTolerance(count=7)),
    ],
)
def test_a_budget_is_a_share_or_a_count(text, budget):
    assert budget == BadTolerance.parse(text)


@pytest.mark.parametrize("text", ["", "-1", "1.5", "many", "%"])
def test_what_is_no_budget_is_refused(text):
    with pytest.raises(TrainingError, match="`max_bad_shards`"):
        BadTolerance.parse(text)


def test_a_missing_member_is_found(build):
    """The hashes are right; the sample is not."""
    rewrite(build, lambda members: [m for m in members if m[0] != members[5][0]])
    assert not list(first_of(build).row.problems(build))

    with pytest.raises(ContractError, match=r"sample 1 is none of the contract; lacks ms.npy"):
        check(build)
    with pytest.raises(ContractError, match=r"missing \['ms.npy'\]"):
        read_sample(first_of(build), 1)


@pytest.mark.parametrize("name", ["pickle", "gt.pth", "npy"])
def test_a_member_beyond_the_contract_is_refused_by_name(build, name):
    """Listed by the index with all else in order; nothing of it is decoded."""
    rewrite(
        build,
        lambda members: [
            *members[:4],
            (members[0][0].partition(".")[0] + f".{name}", b"cos\n."),
            *members[4:],
        ],
    )

    with pytest.raises(ContractError, match=rf"names \S+\.{name} at .* refused"):
        check(build)
    with pytest.raises(ContractError, match=rf"names \S+\.{name} at .* refused"):
        read_sample(first_of(build), 0)


@pytest.mark.parametrize("at_end", [False, True])
def test_a_member_that_the_index_hides_is_refused_by_name(build, at_end):
    """Offsets never lead there; it has no business in the tar."""
    whole = (build / INDEX).read_text()

    def hide(members):
        strange = [("zzz.pickle", b"cos\nsystem\n")]
        return [*members, *strange] if at_end else [*members[:4], *strange, *members[4:]]

    rewrite(build, hide)
    lines = [line for line in (build / INDEX).read_text().splitlines() if "pickle" not in line]
    (build / INDEX).write_text("\n".join(["v1.2 6", *lines[1:]]) + "\n")
    vouch(build)
    assert at_end == (whole == (build / INDEX).read_text())

    with pytest.raises(ContractError, match=r"refused member 'zzz.pickle'"):
        check(build)


def test_a_pickle_within_a_npy_is_refused(build):
    """An array of objects: judged by its header."""
    buffer = io.BytesIO()
    np.save(buffer, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    rewrite(build, lambda members: [(members[0][0], buffer.getvalue()), *members[1:]])

    with pytest.raises(ContractError, match=r"gt.npy must be 3-D C-order <u2; got 1-D \|O"):
        read_sample(first_of(build), 0)


@pytest.mark.parametrize("what", ["manifest", "index", "npy"])
def test_another_version_is_refused(build, what):
    """Of the contract, of the index, of an array: the one found and the one known are said."""
    if what == "manifest":
        path = build / NAME
        path.write_bytes(
            path.read_bytes().replace(b'"contract_version": 1', b'"contract_version": 9')
        )
        with pytest.raises(ContractError, match="version 9; this panprior reads version"):
            check(build)
    elif what == "index":
        path = build / INDEX
        path.write_bytes(path.read_bytes().replace(b"v1.2", b"v1.3"))
        vouch(build)
        with pytest.raises(ContractError, match=r"does not list 6 samples as v1\.2"):
            check(build)
    else:
        (name, data), *_ = [(f"{k}.gt.npy", m["gt.npy"]) for k, m in read_samples(build / TAR)]
        later = data[:6] + b"\x02" + data[7:]
        rewrite(build, lambda members: [(name, later), *members[1:]])
        with pytest.raises(ContractError, match=r"not a version 1\.0 \.npy"):
            read_sample(first_of(build), 0)


@pytest.mark.parametrize("of_another_shard", [False, True])
def test_a_key_that_comes_twice_is_found(build, of_another_shard):
    """Within a shard, or in two of a build."""
    other = min(build.glob("shard-000000.tar")) if of_another_shard else build / TAR
    taken = next(key for key, _ in read_samples(other))

    def rename(members):
        named = [(f"{taken}.{full.partition('.')[2]}", data) for full, data in members[-4:]]
        return [*members[:-4], *named]

    rewrite(build, rename)
    if not of_another_shard:  # as a careless index would list them: two lines
        lines = (build / INDEX).read_text().splitlines()
        words = lines[1].split(" ")
        lines = ["v1.2 6", " ".join(words[:16]), *lines[2:], " ".join(words[16:])]
        (build / INDEX).write_text("\n".join(lines) + "\n")
        vouch(build)

    with pytest.raises(ContractError, match=f"the key {taken} comes twice"):
        check(build)


@pytest.mark.parametrize("what", ["no bytes", "no samples", "no shards"])
def test_an_empty_shard_is_found(build, what):
    """Of no bytes, of no samples, and a build without shards."""
    if what == "no bytes":
        (build / TAR).write_bytes(b"")
        with pytest.raises(ContractError, match="got 0"):
            check(build)
    elif what == "no samples":
        (build / INDEX).write_bytes(dali_index([]))
        vouch(build)
        with pytest.raises(ContractError, match="does not list 6 samples"):
            check(build)
    else:
        replace(Manifest.load(build), shards=()).dump(build)
        with pytest.raises(TrainingError, match="no sample to train on"):
            IndexedShards([ShardSet(folder=build)], batch=4, crop=32, seed=0)


def test_an_index_cannot_lead_out_of_its_tar(build):
    """Offsets are the file's word: checked before anything is read."""
    index = build / INDEX
    first = index.read_text().splitlines()[1]
    words = first.split(" ")
    words[1] = "999999999"
    index.write_text(index.read_text().replace(first, " ".join(words)))

    with pytest.raises(ContractError, match="refused"):
        read_sample(first_of(build), 0)


@pytest.mark.parametrize("workers", [0, 1])
def test_damage_that_comes_while_training_is_one_line(build, workers):
    """Also from a worker: our message, without its traceback."""
    data = IndexedShards([ShardSet(folder=build)], batch=4, crop=32, seed=0)
    for path in build.glob("*.tar"):
        path.write_bytes(path.read_bytes()[:5000])

    with pytest.raises(ContractError) as caught:
        next(iter(BatchLoader(data, start=0, workers=workers)))
    assert "copy it again" in str(caught.value)
    assert 1 == len(str(caught.value).splitlines())


ENDS = """
import sys
from pathlib import Path
from fusiontrain.data.dataset import IndexedShards
from fusiontrain.data.loader import BatchLoader
from fusiontrain.data.shard_integrity import ShardSet

data = IndexedShards([ShardSet(folder=Path(sys.argv[1]))], batch=4, crop=32, seed=0)
for path in Path(sys.argv[1]).glob("*.tar"):
    path.write_bytes(path.read_bytes()[:5000])
try:
    next(iter(BatchLoader(data, start=0, workers=1)))
except Exception as error:
    print("said:", error)
"""


def test_a_process_whose_worker_failed_ends(build):
    """Its error's traceback holds the feed: workers outlive SIGTERM, and must not be waited for."""
    done = subprocess.run(
        [sys.executable, "-c", ENDS, build], cwd=ROOT, capture_output=True, text=True, timeout=300
    )

    assert 0 == done.returncode, done.stderr
    assert done.stdout.startswith("said:")
    assert "copy it again" in done.stdout


def test_the_hash_in_these_tests_is_the_contracts(build):
    """sha256, as any tool computes it."""
    assert first_of(build).row.sha256 == hashlib.sha256((build / TAR).read_bytes()).hexdigest()
