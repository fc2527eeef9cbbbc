"""An array of tasks: each its own shards, one manifest of them all."""

import errno
import fcntl
import json
import shutil
from dataclasses import replace

import pytest

from shards.errors import ContractError
from shards.manifest import NAME, Manifest
from simgen.building.array_task import TaskShare, find_share
from simgen.building.build import run_build
from simgen.building.merge import merge
from simgen.building.verify import verify
from simgen.cli import main
from simgen.config import Build
from simgen.errors import BuildError, ConfigError
from simgen.recipes import find_recipe


def build_of(source, out, **changes) -> Build:
    options = {
        "dataset": "folder",
        "source": source,
        "out": out,
        "recipe": replace(find_recipe("sensor"), tile=32),
        "bands": (3, 5),
        "draws": 4,
        "shard_size": 3,
        "seed": 3,
    }
    return Build(**(options | changes))


@pytest.fixture(scope="module")
def mixed(photos, tmp_path_factory):
    """The photographs and one that is none."""
    root = tmp_path_factory.mktemp("mixed") / "in"
    shutil.copytree(photos, root)
    (root / "text.jpg").write_text("this is no picture\n" * 20)
    return root


@pytest.fixture(scope="module")
def whole(mixed, tmp_path_factory):
    """Twelve shards by one process."""
    out = tmp_path_factory.mktemp("whole") / "s"
    run_build(build_of(mixed, out), workers=1)
    return out


@pytest.fixture(scope="module")
def array(mixed, tmp_path_factory):
    """The same by three tasks in one folder, not yet merged."""
    out = tmp_path_factory.mktemp("array") / "s"
    for index in (2, 0, 1):
        run_build(build_of(mixed, out), workers=1, share=TaskShare(index=index, count=3))
    return out


@pytest.fixture
def parts(array, tmp_path):
    """A copy that a test may damage."""
    shutil.copytree(array, tmp_path / "s")
    return tmp_path / "s"


@pytest.mark.slow
def test_four_workers_do_not_change_a_byte(mixed, whole, tmp_path):
    """The same manifest, so the same sha256 of every tar and index. Two: see test_build."""
    run_build(build_of(mixed, tmp_path / "s"), workers=4)

    assert (whole / NAME).read_bytes() == (tmp_path / "s" / NAME).read_bytes()


def test_three_tasks_in_one_folder_are_one_build(whole, parts, capsys):
    """No manifest before the merge; then the undisturbed build's, byte for byte."""
    assert not (parts / NAME).exists()

    assert 0 == main(["merge", str(parts)])

    assert "merged" in capsys.readouterr().out
    for name in (NAME, "wids.json", "build.json", "shard-000004.idx"):
        assert (whole / name).read_bytes() == (parts / name).read_bytes()
    verify(parts)


def test_three_tasks_in_their_own_folders_are_one_build(mixed, whole, tmp_path):
    """Shards are linked into the new folder; the parts keep theirs."""
    folders = [tmp_path / f"task{i}" for i in range(3)]
    for index, folder_lock in enumerate(folders):
        options = ["--tile", "32", "--bands", "3", "5", "--draws", "4", "--shard-size", "3"]
        task = ["--task-index", str(index), "--task-count", "3", "--seed", "3", "--quiet"]
        where = ["--dataset", "folder", "--source", str(mixed), "--out", str(folder_lock)]
        assert 0 == main(["build", *where, *options, *task])

    merge(tmp_path / "all", folders[::-1])

    assert (whole / NAME).read_bytes() == (tmp_path / "all" / NAME).read_bytes()
    verify(tmp_path / "all")
    assert 12 == sum(len(list(folder_lock.glob("*.tar"))) for folder_lock in folders)
    (tmp_path / "all" / "shard-000001.tar").unlink()
    (tmp_path / "all" / "shard-000001.tar").write_bytes(b"something else")
    with pytest.raises(BuildError, match=r"shard-000001.tar is there already"):
        merge(tmp_path / "all", folders)


def test_more_tasks_than_shards(mixed, whole, tmp_path):
    """Some have nothing to do, and say so in their parts."""
    for index in range(14):
        run_build(
            build_of(mixed, tmp_path / "s"), workers=1, share=TaskShare(index=index, count=14)
        )

    assert Manifest.load(whole) == merge(tmp_path / "s")


def test_a_whole_build_takes_over_what_tasks_left(mixed, whole, parts):
    """Without --task-count the folder is finished like any other, nothing made twice."""
    reports = []

    run_build(build_of(mixed, parts), workers=1, report=reports.append)

    assert 12 == reports[0].reused
    assert (whole / NAME).read_bytes() == (parts / NAME).read_bytes()


def test_gaps_are_named(parts, capsys):
    """By shard and by task."""
    (parts / "part-1-of-3.json").unlink()

    assert 2 == main(["merge", str(parts)])

    said = capsys.readouterr().err
    assert "4 of 12 shards are in no part: 4-7" in said
    assert "1 of 3" in said
    assert not (parts / NAME).exists()


def test_overlaps_are_named(mixed, parts):
    """Parts of an earlier array of another size."""
    run_build(build_of(mixed, parts), workers=1, share=TaskShare(index=1, count=4))

    with pytest.raises(BuildError, match=r"shard 3 is in .*part-0-of-3.json and in .*part-1-of-4"):
        merge(parts)
    three = [parts / f"part-{i}-of-3.json" for i in range(3)]
    assert 12 == len(merge(parts, three).shards)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"seed": 4}, "seed: 3 in the first, 4 in the second"),
        ({"recipe": replace(find_recipe("paper"), tile=32)}, "recipe: sensor .* paper"),
        ({"draws": 5}, "draws: 4"),
    ],
)
def test_parts_of_different_builds_do_not_mix(mixed, array, tmp_path, changes, word):
    """Both files and what differs are named."""
    run_build(build_of(mixed, tmp_path, **changes), workers=1, share=TaskShare(index=2, count=3))
    some = [array / "part-0-of-3.json", array / "part-1-of-3.json", tmp_path]

    with pytest.raises(BuildError, match=f"(?s)different builds.*{word}"):
        merge(tmp_path / "all", some)
    assert not (tmp_path / "all").exists()


def test_a_merge_looks_at_the_tars(parts):
    """A flipped byte is found before a manifest vouches for it."""
    data = bytearray((parts / "shard-000007.tar").read_bytes())
    data[3000] ^= 1
    (parts / "shard-000007.tar").write_bytes(data)

    with pytest.raises(ContractError, match=r"shard-000007.tar: expected sha256"):
        merge(parts)
    assert not (parts / NAME).exists()


@pytest.mark.parametrize("text", ["", "[]", '{"share": {"index": 0, "count": 3}}'])
def test_a_strange_part_is_named(parts, text):
    """And so is a folder without any."""
    (parts / "part-2-of-3.json").write_text(text)

    with pytest.raises(BuildError, match=r"part-2-of-3.json is not a task's part"):
        merge(parts)
    with pytest.raises(BuildError, match="no part-I-of-N"):
        merge(parts, [parts / ".."])


@pytest.mark.parametrize("key", ["compression", "recipe", "seed"])
def test_parts_of_another_version_are_one_line(array, tmp_path, capsys, key):
    """What an earlier panprior wrote may lack what a manifest needs; and so may nothing at all."""
    for path in array.glob("part-*.json"):
        raw = json.loads(path.read_text())
        del raw["plan"][key]
        (tmp_path / path.name).write_text(json.dumps(raw))

    assert 2 == main(["merge", str(tmp_path)])
    assert f"'{key}'" in capsys.readouterr().err
    assert 2 == main(["merge", str(tmp_path / "nowhere")])
    assert "nothing at" in capsys.readouterr().err


def test_a_task_leaves_its_siblings_alone(mixed, parts):
    """Their temporaries stay; a second copy of the same task is refused; so is a merge."""
    theirs = parts / ".part-00000000-7-shard-000009.tar"
    mine = parts / ".part-00000000-7-shard-000002.tar"
    for path in (theirs, mine):
        path.write_bytes(b"half")
    task = TaskShare(index=0, count=3)
    with (parts / ".lock").open("ab") as siblings:
        fcntl.flock(siblings, fcntl.LOCK_SH)
        run_build(build_of(mixed, parts), workers=1, share=task)
        assert theirs.exists()
        assert not mine.exists()
        with pytest.raises(BuildError, match="another build is running"):
            merge(parts)
    with (parts / ".lock-part-0-of-3").open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(BuildError, match="another build is running"):
            run_build(build_of(mixed, parts), workers=1, share=task)
    merge(parts)
    assert not theirs.exists()


def test_file_systems_without_locks_are_borne(mixed, whole, tmp_path, monkeypatch):
    """Some cluster file systems have none."""

    def flock(_, how):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    for index in range(3):
        run_build(build_of(mixed, tmp_path / "s"), workers=1, share=TaskShare(index=index, count=3))

    assert Manifest.load(whole) == merge(tmp_path / "s")


def test_the_task_comes_from_slurm():
    """An array may begin anywhere and count in steps."""
    array = {"ID": "7", "MIN": "3", "COUNT": "4", "STEP": "2", "MAX": "9"}
    environ = {f"SLURM_ARRAY_TASK_{k}": v for k, v in array.items()}

    assert TaskShare(index=2, count=4) == find_share(None, None, environ)
    assert TaskShare(index=1, count=9) == find_share(1, 9, environ)
    assert TaskShare() == find_share(None, None, {"SLURM_JOB_ID": "3"})
    with pytest.raises(ConfigError, match="go together"):
        find_share(1, None, environ)
    with pytest.raises(ConfigError, match=r"0\.\.2"):
        find_share(3, 3, {})
    with pytest.raises(ConfigError, match="no number"):
        find_share(None, None, environ | {"SLURM_ARRAY_TASK_ID": "x"})


def test_shares_are_runs_that_cover_everything():
    """Every shard once, in order, sizes within one of each other."""
    for total in (0, 1, 7, 12):
        for count in (1, 2, 5, 14):
            runs = [TaskShare(index=i, count=count).of(list(range(total))) for i in range(count)]
            assert list(range(total)) == [n for run in runs for n in run]
            assert max(map(len, runs)) - min(map(len, runs)) <= 1


def test_a_part_tells_no_paths(array):
    """It travels with the shards."""
    for path in array.glob("part-*.json"):
        assert {"share", "plan", "licence", "planned", "built", "rejected"} == set(
            json.loads(path.read_text())
        )
        assert str(array) not in path.read_text()
