"""A build that is killed, stopped, starved of disk, or fed rubbish."""

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from shards.manifest import NAME, Manifest
from shards.signals import Stopped, stoppable
from simgen.building.bad_image_budget import budget_spent, parse_budget
from simgen.building.build import run_build
from simgen.building.verify import verify
from simgen.cli import main
from simgen.errors import BudgetSpent, ConfigError
from simgen.simulate import dispatch, numpy_engine
from tests.support.paths import ROOT

SIMGEN = [sys.executable, "-m", "simgen"]
HELD = [sys.executable, str(ROOT / "tests/support/held_images.py"), "-m", "simgen"]


def command(source, out, *more, draws=4):
    options = ["--tile", "32", "--bands", "3", "5", "--draws", str(draws), "--shard-size", "4"]
    where = ["--dataset", "folder", "--source", str(source), "--out", str(out)]
    return ["build", *where, *options, *more]


def leftovers(out):
    return [p.name for p in out.iterdir() if p.name.startswith(".part-")]


def held(out):
    return len(list(out.glob("*.tar")))


def committed(tar):
    """Whether its sidecar, the commit mark, came before the stop."""
    return tar.with_suffix(".json").exists()


@pytest.fixture(scope="module")
def calm(photos, tmp_path_factory):
    """The manifest of an undisturbed build of two shards a draw, by draws."""

    def manifest(draws):
        out = tmp_path_factory.mktemp("calm") / "s"
        assert 0 == main(command(photos, out, "--quiet", draws=draws))
        return (out / NAME).read_bytes()

    return manifest


def wait_for_shards(out, count, process, seconds=120):
    end = time.monotonic() + seconds
    while held(out) < count and time.monotonic() < end:
        assert process.poll() is None, "ended before it was stopped"
        time.sleep(0.01)


# Forked from a process that has DALI loaded but never ran it: a start costs nothing, so that
# kills fall into the work and not into imports. Each waits for a file, not for the clock alone,
# and none makes more than two shards: a fast machine would else be done before the last shot.
_SHOOTER = f"""
import os, random, signal, sys, time
from pathlib import Path
sys.path.insert(0, {str(ROOT / "tests/support")!r})
import simgen.building.shard
from held_images import cli
rng, hit, out = random.Random(0), 0, Path(sys.argv[2])
for i in range(int(sys.argv[1])):
    before = set(out.glob("*")) | set(out.glob(".part-*"))
    child = os.fork()
    if child == 0:
        os._exit(cli.main(sys.argv[3:]))
    wanted = ("shard-*.tar", ".part-*.tar", "shard-*.json", "")[i % 4]
    end = time.monotonic() + 120
    while wanted and set(out.glob(wanted)) <= before and time.monotonic() < end:
        time.sleep(0.001)
    time.sleep(rng.uniform(0.0, 0.05 if wanted else 0.1))
    os.kill(child, signal.SIGKILL)
    hit += os.WIFSIGNALED(os.waitpid(child, 0)[1])
print(hit)
"""


@pytest.mark.slow
def test_kill_9_at_twenty_moments_loses_nothing(photos, calm, tmp_path):
    """Sixteen of one process, four of two workers with and without their parent."""
    out = tmp_path / "shot"
    arguments = command(photos, out, "--quiet", draws=26)
    shooter = [sys.executable, "-c", _SHOOTER, "16", str(out), *arguments]
    shots = subprocess.run(
        shooter, capture_output=True, text=True, env=os.environ | {"HELD_AFTER": "2"}
    )
    assert "16\n" == shots.stdout, shots.stderr  # none ended by itself
    hit = 16

    rng = random.Random(1)
    for i in range(4):
        process = subprocess.Popen(
            [*HELD, *arguments, "--workers", "2"],
            start_new_session=True,
            env=os.environ | {"HELD_AFTER": "1"},
        )
        wait_for_shards(out, held(out) + 1, process)
        time.sleep(rng.uniform(0.0, 0.05))
        # Sometimes the parent alone: its workers must not go on by themselves.
        os.killpg(process.pid, signal.SIGKILL) if i % 2 else process.kill()
        hit += process.wait() == -signal.SIGKILL
    assert not (out / NAME).exists()
    subprocess.run([*SIMGEN, *arguments], check=True)

    assert 20 == hit
    assert calm(26) == (out / NAME).read_bytes()
    verify(out)
    assert leftovers(out) == []


@pytest.mark.parametrize(
    ("signum", "workers", "code"), [(signal.SIGTERM, 1, 143), (signal.SIGINT, 2, 130)]
)
def test_a_signal_leaves_nothing_half(photos, calm, tmp_path, signum, workers, code):
    """Sent to the whole group, as a terminal and a batch system do."""
    out = tmp_path / "s"
    arguments = command(photos, out, "--workers", str(workers), draws=8)
    process = subprocess.Popen(
        [*HELD, *arguments],
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"HELD_AFTER": "8"},
    )
    wait_for_shards(out, 3, process)
    for _ in range(2):  # impatient ones send it again
        os.killpg(process.pid, signum)
        time.sleep(0.01)
    message = process.communicate(timeout=60)[1]

    assert code == process.returncode
    assert f"stopped by {signum.name}" in message
    assert "Traceback" not in message
    assert leftovers(out) == []
    assert not (out / NAME).exists()
    kept = {p.name: p.stat().st_mtime_ns for p in out.glob("*.tar") if committed(p)}
    assert len(kept) >= 2
    assert 0 == main([*arguments, "--quiet"])
    assert calm(8) == (out / NAME).read_bytes()
    assert kept.items() <= {p.name: p.stat().st_mtime_ns for p in out.glob("*.tar")}.items()


class Swallows:
    """Python drops what is raised in a finalizer, as in those of DALI's pipelines."""

    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)  # so that it is handled here


def test_a_signal_in_a_finalizer_is_not_lost_between_shards(
    photos, tmp_path, small_build_of, capfd
):
    """It stops the build after the shard at work, without a traceback."""
    build = small_build_of("folder", photos, tmp_path / "s", shard_size=2)
    asked = []

    def report(progress):
        if progress.shards_done == 2:
            asked.append(True)
            Swallows()

    with pytest.raises(Stopped) as stopped, stoppable():
        run_build(build, workers=1, report=report)

    assert asked == [True]
    assert 143 == stopped.value.exit_code
    assert 2 == held(tmp_path / "s")
    assert leftovers(tmp_path / "s") == []
    assert "Traceback" not in capfd.readouterr().err


def test_a_signal_in_a_finalizer_is_not_lost_within_a_shard(
    photos, tmp_path, small_build_of, monkeypatch
):
    """The shard at work is dropped before its second sample."""
    made = []

    def make(*arguments):
        made.append(arguments)
        Swallows()
        return numpy_engine.make(*arguments)

    monkeypatch.setattr(dispatch, "make", make)
    with pytest.raises(Stopped, match="SIGTERM"), stoppable():
        run_build(small_build_of("folder", photos, tmp_path / "s"), workers=1)

    assert 1 == len(made)
    assert 0 == held(tmp_path / "s")
    assert leftovers(tmp_path / "s") == []


def test_the_next_build_of_the_same_process_goes_on(photos, tmp_path, small_build_of):
    """What came before is over, and whatever else a finalizer raises is still reported."""
    heard = []
    with pytest.raises(Stopped, match="SIGINT"), stoppable():
        signal.raise_signal(signal.SIGINT)

    hook, sys.unraisablehook = sys.unraisablehook, heard.append
    try:
        with stoppable():
            run_build(small_build_of("folder", photos, tmp_path / "s"), workers=1)
            Fails()
    finally:
        sys.unraisablehook = hook

    verify(tmp_path / "s")
    assert ["mine"] == [str(one.exc_value) for one in heard]


class Fails:
    def __del__(self):
        raise ValueError("mine")


def test_a_file_that_cannot_grow_leaves_no_half_shard(photos, tmp_path):
    """The kernel's own refusal in the middle of a tar, in a worker."""
    out = tmp_path / "s"
    arguments = command(photos, out, "--workers", "2")

    done = subprocess.run(
        [*SIMGEN, *arguments],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000)),
    )

    assert 2 == done.returncode
    assert "cannot go on writing" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(out.glob("*.tar"))
    assert leftovers(out) == []
    assert 0 == main([*arguments[:-1], "1", "--quiet"])
    verify(out)


def test_a_full_file_system_leaves_no_half_shard(photos, tmp_path):
    """A tmpfs of 150 kB; with room made, the same call finishes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=150k", "none", str(disk)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small tmpfs needs root's right to mount")
    try:
        filling = disk / "filling"
        filling.write_bytes(bytes(40_000))
        code = main(command(photos, disk / "s", "--quiet", draws=1))
        assert 2 == code
        assert leftovers(disk / "s") == []
        assert all(p.with_suffix(".json").exists() for p in (disk / "s").glob("*.tar"))
        assert not (disk / "s" / NAME).exists()
        subprocess.run([*mount[:4], "remount,size=4m", "none", str(disk)], check=True)
        assert 0 == main(command(photos, disk / "s", "--quiet", draws=1))
        verify(disk / "s")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.fixture(scope="module")
def worm_eaten(make_jpeg, tmp_path_factory):
    """A hundred images, five of them cut or empty."""
    root = tmp_path_factory.mktemp("worms")
    good = [make_jpeg(120, 120, seed) for seed in range(5)]
    for i in range(100):
        data = good[i // 20]
        (root / f"{i:03d}.jpg").write_bytes(data[: [0, 1500][i // 20 % 2]] if i % 20 == 7 else data)
    return root


def eaten(source, out, *more):
    options = ["--tile", "32", "--bands", "3", "--shard-size", "10", "--quiet"]
    where = ["--dataset", "folder", "--source", str(source), "--out", str(out)]
    return ["build", *where, *options, *more]


def test_five_percent_of_bad_images_are_left_out_and_named(worm_eaten, tmp_path):
    """The build completes; the list is exact; 5 % is not more than 5 %."""
    assert 0 == main(eaten(worm_eaten, tmp_path / "s", "--max-bad", "5%", "--workers", "2"))

    manifest = verify(tmp_path / "s")
    assert [f"{i:03d}.jpg" for i in (7, 27, 47, 67, 87)] == [r.source for r in manifest.rejected]
    assert 95 == manifest.samples


@pytest.mark.parametrize("limit", ["4.9%", "4", "0"])
def test_a_spent_budget_stops_the_build(worm_eaten, tmp_path, capsys, limit):
    """First reasons said; shards kept; a larger budget finishes it."""
    out = tmp_path / "s"

    assert 2 == main(eaten(worm_eaten, out, "--max-bad", limit))

    message = capsys.readouterr().err
    assert f"--max-bad allows {limit}" in message
    assert "7.jpg: " in message
    assert not (out / NAME).exists()
    kept = {p.name: p.stat().st_mtime_ns for p in out.glob("*.tar")}
    assert kept
    assert 0 == main(eaten(worm_eaten, out, "--max-bad", "10%"))
    assert kept.items() <= {p.name: p.stat().st_mtime_ns for p in out.glob("*.tar")}.items()


def test_a_count_is_judged_at_once_and_a_share_after_two_hundred():
    """3 bad of the first 10 say nothing about a million."""
    assert budget_spent(parse_budget("2"), images=3, bad=3, finished=False)
    assert not budget_spent(parse_budget("1%"), images=10, bad=3, finished=False)
    assert budget_spent(parse_budget("1%"), images=10, bad=3, finished=True)
    assert budget_spent(parse_budget("1%"), images=200, bad=3, finished=False)
    assert not budget_spent(parse_budget("1%"), images=200, bad=2, finished=False)
    assert not budget_spent(parse_budget(None), images=200, bad=200, finished=True)
    for text in ("", "x", "-1", "1.5", "%", "1%%", "nan%"):
        with pytest.raises(ConfigError, match="percentage"):
            parse_budget(text)
    assert issubclass(BudgetSpent, Exception)


def test_json_lines_for_batch_jobs(worm_eaten, tmp_path, capsys):
    """Every line an object; the last one says what was made."""
    arguments = [a for a in eaten(worm_eaten, tmp_path / "s") if a != "--quiet"]

    assert 0 == main([*arguments, "--log", "json"])

    said = capsys.readouterr()
    lines = [json.loads(line) for line in said.out.splitlines()]
    assert said.err == ""
    assert {"progress", "rejected", "done"} == {line["event"] for line in lines}
    assert 11 == sum(line["event"] == "progress" for line in lines)
    assert 5 == sum(line["event"] == "rejected" for line in lines)
    last = [line for line in lines if line["event"] == "progress"][-1]
    assert (95, 5, 10, 0.0) == tuple(
        last[k] for k in ("samples", "images_rejected", "shards_done", "eta_seconds")
    )
    assert last["samples_per_second"] == pytest.approx(95 / last["seconds"], rel=0.01)
    size = sum(p.stat().st_size for p in (tmp_path / "s").glob("*.tar"))
    assert last["mb_per_second"] == pytest.approx(size / 1e6 / last["seconds"], rel=0.01)
    assert Manifest.load(tmp_path / "s").digest == lines[-1]["manifest"]


def test_json_says_errors_too(tmp_path, capsys):
    """Once for programs, once for people."""
    arguments = [a for a in eaten(tmp_path / "none", tmp_path / "s") if a != "--quiet"]

    assert 2 == main([*arguments, "--log", "json"])

    said = capsys.readouterr()
    assert "error" == json.loads(said.out.splitlines()[-1])["event"]
    assert "no folder at" in said.err


def test_quiet_and_the_bar(worm_eaten, tmp_path, capsys):
    """Nothing at all; or rates, the rejected, and a summary."""
    assert 0 == main(eaten(worm_eaten, tmp_path / "s"))
    quiet = capsys.readouterr()
    assert (quiet.out, quiet.err) == ("", "")

    again = [a for a in eaten(worm_eaten, Path(f"{tmp_path}/t")) if a != "--quiet"]
    assert 0 == main(again)
    said = capsys.readouterr()
    assert "95 samples, 5 rejected" in said.err
    assert "MB/s" in said.err
    assert "rejected 007.jpg" in said.err
    assert "95 samples in 10 shards" in said.out
