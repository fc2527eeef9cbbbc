"""simgen status: what the folder of an array tells of its tasks."""

import json
import os
import shutil
import time

import pytest

from simgen.building import task_record
from simgen.building.array_task import TaskShare, find_share
from simgen.building.build import run_build
from simgen.building.merge import merge
from simgen.building.status import array_lines, read_status
from simgen.cli import main
from simgen.errors import BuildError, ConfigError

OPTIONS = {"draws": 1, "shard_size": 1, "bands": (3,)}  # eight shards, of the eight photographs


@pytest.fixture(scope="module")
def made(photos, small_build_of, tmp_path_factory):
    """Tasks 0 and 2 of four, two shards each."""
    out = tmp_path_factory.mktemp("status") / "s"
    for index in (0, 2):
        build = small_build_of("folder", photos, out, **OPTIONS)
        run_build(build, workers=1, share=TaskShare(index=index, count=4))
    return out


@pytest.fixture
def out(made, tmp_path):
    """A copy that a test may change."""
    shutil.copytree(made, tmp_path / "s")
    return tmp_path / "s"


def leave(out, index, **changes):
    """A record of another task, as its process would have left it; its file."""
    record = json.loads((out / ".task-0-of-4.json").read_text())
    record["share"]["index"] = index
    path = out / f".task-{index}-of-4.json"
    path.write_text(json.dumps(record | changes))
    return path


def printed(capsys, *argv):
    capsys.readouterr()
    assert 0 == main(["status", *map(str, argv)])
    return capsys.readouterr().out.splitlines()


def test_two_of_four_tasks_are_done(out, capsys):
    """The others are to be started; the numbers are those of the folder."""
    lines = printed(capsys, out)

    assert f"simgen: {out}: 4 tasks: 2 done, 2 missing" == lines[0]
    assert "4 of 8 shards, 4 samples" in lines[1]
    assert "start again tasks 1,3 of 4" in lines[-1]
    assert ["1,3"] == printed(capsys, out, "--array")
    data = json.loads(printed(capsys, out, "--json")[0])
    assert (2, 2, 8, 4) == tuple(data[k] for k in ("done", "missing", "shards", "shards_done"))
    assert sum(p.stat().st_size for p in out.glob("*.tar")) == data["bytes"]
    assert ["done", "missing", "done", "missing"] == [task["state"] for task in data["tasks"]]


def test_every_end_of_a_task_has_its_state(out, capsys):
    """On another host by its file's age; here by the process."""
    here = {"state": "running", "host": task_record.socket.gethostname()}
    leave(out, 1, **here | {"process": os.getpid()}, shards_made=1, samples_made=6, seconds=3.0)
    leave(out, 3, state="failed", message="disk full")

    status = read_status(out)
    assert [1] == status.of("running")
    assert 2.0 == status.samples_per_second
    # Its two shards take 6 s more; at its pace the four that are left of all take 12.
    assert (6.0, 12.0) == (status.tasks[1].seconds_left, status.seconds_left)
    lines = printed(capsys, out)
    assert "  2.0 samples/s, 0:00:12 left" in lines
    assert "  failed 3: disk full" in lines
    assert ["3"] == printed(capsys, out, "--array")

    far = leave(out, 1, state="running", host="elsewhere", process=1)
    assert [1] == read_status(out).of("running")
    os.utime(far, (time.time() - 200, time.time() - 200))
    assert [1, 3] == read_status(out).of("failed")
    leave(out, 1, **here | {"process": 2**22 + 1})
    leave(out, 3, state="stopped", message="stopped by SIGTERM")
    status = read_status(out)
    assert ([1], [3]) == (status.of("failed"), status.of("stopped"))
    assert "without a word" in status.tasks[1].message


def test_records_tell_how_a_build_ended(photos, small_build_of, tmp_path, monkeypatch):
    """A failure by its message; then done."""
    from simgen.building import shard

    out, share = tmp_path / "s", TaskShare(index=1, count=4)
    build = small_build_of("folder", photos, out, **OPTIONS)
    with monkeypatch.context() as patch:
        patch.setattr(shard, "build_shard", lambda task: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run_build(build, workers=1, share=share)

    status = read_status(out)
    assert ("failed", "division by zero") == (status.tasks[1].state, status.tasks[1].message)
    run_build(build, workers=1, share=share)
    assert [1] == read_status(out).of("done")


def test_a_build_that_is_whole_is_one_task(small_build, capsys):
    lines = printed(capsys, small_build)

    assert f"simgen: {small_build}: 1 tasks: 1 done" == lines[0]
    assert ["4 of 4 shards, 24 samples", "0 images rejected"] == [
        lines[1].strip().rpartition(", ")[0].rpartition(", ")[0],
        lines[1].rpartition(", ")[2],
    ]
    assert 2 == len(lines)
    assert [] == printed(capsys, small_build, "--array")


def test_after_the_last_task_comes_the_merge(photos, small_build_of, out, capsys):
    """And a shard that is gone makes its task one to start again."""
    for index in (1, 3):
        build = small_build_of("folder", photos, out, **OPTIONS)
        run_build(build, workers=1, share=TaskShare(index=index, count=4))
    assert f"do: simgen merge {out}" in printed(capsys, out)[-1]
    (out / "shard-000005.tar").rename(out / "away")
    assert ["2"] == printed(capsys, out, "--array")
    (out / "away").rename(out / "shard-000005.tar")
    merge(out)

    assert f"simgen: {out}: 4 tasks: 4 done" == printed(capsys, out)[0]


def test_what_is_no_build_is_one_line(out, tmp_path, capsys):
    for argv, word in (
        ([tmp_path / "nowhere"], "no build in"),
        ([out, "--task-count", "9"], "no task of 9 has left a record"),
        ([out, "--task-count", "0"], "--task-count must be at least 1"),
    ):
        assert 2 == main(["status", *map(str, argv)])
        assert word in capsys.readouterr().err
    (out / "build.json").write_text("[1")
    with pytest.raises(BuildError, match="is damaged"):
        read_status(out)


@pytest.mark.parametrize(
    ("indices", "most", "lines"),
    [
        ([3, 7, 8, 9], 1001, [("3,7-9", 0)]),
        ([], 1001, []),
        ([0, 1000, 1001, 2500], 1001, [("0,1000", 0), ("0", 1001), ("498", 2002)]),
        ([5, 4, 1], 2, [("1", 0), ("0-1", 4)]),
    ],
)
def test_arrays_stay_below_slurms_limit(indices, most, lines):
    """sbatch takes numbers below MaxArraySize only."""
    assert lines == array_lines(indices, most)


def test_a_task_by_its_number_alone():
    """Of arrays with gaps, of Kubernetes and of AWS Batch."""
    gaps = {"ID": "7", "MIN": "3", "COUNT": "4", "STEP": "1", "MAX": "9"}
    slurm = {f"SLURM_ARRAY_TASK_{k}": v for k, v in gaps.items()}

    assert TaskShare(index=7, count=32) == find_share(None, 32, slurm)
    assert TaskShare(index=1008, count=2000) == find_share(None, 2000, slurm, offset=1001)
    for name in ("JOB_COMPLETION_INDEX", "AWS_BATCH_JOB_ARRAY_INDEX"):
        assert TaskShare(index=2, count=3) == find_share(None, 3, {name: "2"})
        with pytest.raises(ConfigError, match="of how many tasks"):
            find_share(None, None, {name: "2"})
    with pytest.raises(ConfigError, match="of how many tasks"):
        find_share(None, None, slurm)
    with pytest.raises(ConfigError, match="needs an array's number"):
        find_share(None, 3, {})


def test_an_array_begins_one_after_the_other(photos, tmp_path, monkeypatch):
    """Task 3 of 4 waits three quarters of the time."""
    from simgen.commands import build as command

    slept = []
    monkeypatch.setattr(command.time, "sleep", slept.append)
    monkeypatch.setattr(command, "run_build", lambda *_, **__: 1 / 0)
    argv = ["build", "--dataset", "folder", "--source", str(photos), "--out", str(tmp_path / "s")]
    task = ["--task-index", "3", "--task-count", "4"]

    with pytest.raises(ZeroDivisionError):
        main([*argv, *task, "--start-spread", "60"])
    assert [45.0] == slept
    assert 2 == main([*argv, "--start-spread", "-1"])
