"""slurm/shards.sbatch itself, run by a real Slurm on loopback."""

import json
import subprocess
import sys

import pytest

from shards.manifest import NAME
from simgen.building.verify import verify
from simgen.cli import main
from tests.support.paths import ROOT

HELD = ROOT / "tests/support/held_images.py"
OPTIONS = ("--tile", "32", "--bands", "3", "5", "--shard-size", "4")

pytestmark = pytest.mark.slow


def submit(slurm, tmp_path, photos, *, array, draws, python=sys.executable):
    """The job's id. Only what this machine lacks is said otherwise than in the file."""
    done = subprocess.run(
        ["sbatch", "--parsable", f"--array={array}", "--cpus-per-task=1", "--mem=500M",
         f"--output={tmp_path}/%a.log", "slurm/shards.sbatch", "folder", photos, tmp_path / "s",
         *OPTIONS, "--draws", str(draws)],
        cwd=ROOT, env=slurm | {"PYTHON": str(python)}, capture_output=True, text=True,
    )  # fmt: skip
    assert 0 == done.returncode, done.stderr
    return done.stdout.strip().partition(";")[0]


def states(slurm, job):
    """State of each task, by its index."""
    shown = subprocess.run(
        ["scontrol", "--oneliner", "show", "job", job], env=slurm, capture_output=True, text=True
    ).stdout
    found = [dict(f.split("=", 1) for f in line.split() if "=" in f) for line in shown.splitlines()]
    return {f["ArrayTaskId"]: f["JobState"] for f in found if "JobState" in f}


def ended(slurm, wait, job, logs, among):
    """What the tasks said, once all are in one of these states; they are `among`'s first."""
    wait(lambda: set(states(slurm, job).values()) <= set(among), 300)
    said = {path.name: path.read_text() for path in sorted(logs.glob("*.log"))}
    assert {among[0]} == set(states(slurm, job).values()), said
    return said


@pytest.fixture(scope="module")
def alone(photos, tmp_path_factory):
    """What one process builds, by number of draws."""

    def build(draws):
        out = tmp_path_factory.mktemp("alone") / "s"
        where = ["--dataset", "folder", "--source", str(photos), "--out", str(out), "--quiet"]
        assert 0 == main(["build", *where, *OPTIONS, "--draws", str(draws)])
        return (out / NAME).read_bytes()

    return build


def test_three_tasks_are_one_build(slurm, wait, photos, alone, tmp_path):
    """An array of three, numbered from 5; merged: the manifest of one process."""
    job = submit(slurm, tmp_path, photos, array="5-7", draws=3)

    said = ended(slurm, wait, job, tmp_path, ("COMPLETED", "FAILED"))

    assert {"5.log", "6.log", "7.log"} == set(said)
    last = [json.loads(text.splitlines()[-1]) for text in said.values()]
    assert {"done"} == {line["event"] for line in last}
    assert 24 == sum(line["samples"] for line in last)
    assert 0 == main(["merge", str(tmp_path / "s")])
    verify(tmp_path / "s")
    assert alone(3) == (tmp_path / "s" / NAME).read_bytes()


def test_a_task_at_its_time_limit_is_queued_again_and_resumes(
    slurm, wait, let_go, photos, alone, tmp_path
):
    """USR1, as --signal sends it: nothing half is left, and the second run makes the rest."""
    python, out = tmp_path / "python", tmp_path / "s"
    python.write_text(f'#!/bin/sh\nHELD_AFTER=5 exec {sys.executable} {HELD} "$@"\n')
    python.chmod(0o755)
    job = submit(slurm, tmp_path, photos, array="0", draws=4, python=python)
    wait(lambda: len(list(out.glob("*.tar"))) == 5, 300)  # of 8: three are left
    subprocess.run(["scancel", "--signal=USR1", "--batch", job], env=slurm, check=True)

    said = ended(slurm, wait, job, tmp_path, ("PENDING", "COMPLETED", "FAILED"))

    assert "stopped by SIGTERM" in said["0.log"]
    assert 5 == len(list(out.glob("*.tar")))
    assert not (out / NAME).exists()
    assert not list(out.glob(".part-*"))
    let_go(job)
    ended(slurm, wait, job, tmp_path, ("COMPLETED", "FAILED"))
    assert alone(4) == (out / NAME).read_bytes()
