"""slurm/pretrain.sbatch and its like themselves, run by a real Slurm of two nodes on loopback."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from fusiontrain.models.checkpoints import load_checkpoint
from tests.support.paths import ROOT

# Only what this machine lacks is said otherwise than in the files.
HERE = ["--gres=none", "--ntasks-per-node=1", "--cpus-per-task=1", "--mem=1G"]
SMALL = ["--crop", "32", "--batch-size", "4", "--log-steps", "1", "--tracker", "none"]
EXACT = ("step", "loss", "learning_rate", "gradient_norm")

pytestmark = pytest.mark.slow


def submit(slurm, log, script, *arguments, nodes=1) -> str:
    """The job's id."""
    on_cpu = {
        "PYTHON": sys.executable,
        "ACCELERATE_USE_CPU": "true",
        "GLOO_SOCKET_IFNAME": "lo",
        "OMP_NUM_THREADS": "1",
    }
    # Two nodes of one machine: their names are known to Slurm alone.
    address = {"MASTER_ADDR": "127.0.0.1"} if nodes > 1 else {}
    done = subprocess.run(
        ["sbatch", "--parsable", f"--nodes={nodes}", *HERE, f"--output={log}", script, *arguments],
        cwd=ROOT, env=slurm | on_cpu | address, capture_output=True, text=True,
    )  # fmt: skip
    assert 0 == done.returncode, done.stderr
    return done.stdout.strip().partition(";")[0]


def facts(slurm, job) -> dict[str, str]:
    shown = subprocess.run(
        ["scontrol", "--oneliner", "show", "job", job], env=slurm, capture_output=True, text=True
    ).stdout
    return dict(field.split("=", 1) for field in shown.split() if "=" in field)


def state(slurm, job) -> str:
    return facts(slurm, job).get("JobState", "")


def finished(slurm, wait, job, log) -> None:
    wait(lambda: state(slurm, job) not in ("PENDING", "RUNNING", "COMPLETING"), 300)
    assert "COMPLETED" == state(slurm, job), log.read_text()


def queued_again(slurm, wait, job, log) -> None:
    wait(lambda: state(slurm, job) in ("PENDING", "FAILED", "COMPLETED"), 300)
    assert "PENDING" == state(slurm, job), log.read_text()


def newest(run: Path) -> int:
    found = [p.name.removeprefix("step-") for p in (run / "states").glob("step-*")]
    return max((int(name) for name in found if name.isdigit()), default=0)


def curve(run: Path) -> list[tuple[str, ...]]:
    """All of log.csv but what the clock says."""
    with (run / "log.csv").open(newline="") as file:
        return [tuple(row[name] for name in EXACT) for row in csv.DictReader(file)]


def test_a_run_on_two_nodes_is_preempted_and_signalled_and_ends_as_if_it_had_not_been(
    slurm, wait, let_go, small_build, tmp_path
):
    """`scontrol requeue`, then TERM as --signal sends it: the same losses, the same weights."""
    calm, torn = tmp_path / "calm", tmp_path / "torn"
    steps = ["--max-steps", "60", "--save-steps", "5", "--workers", "1", *SMALL]
    jobs = {
        run: submit(
            slurm, run.with_suffix(".log"), "slurm/pretrain.sbatch", small_build, run, *steps,
            nodes=2,
        )
        for run in (torn, calm)
    }  # fmt: skip
    job, log = jobs[torn], torn.with_suffix(".log")

    wait(lambda: newest(torn) > 0, 300)
    subprocess.run(["scontrol", "requeue", job], env=slurm, check=True)
    queued_again(slurm, wait, job, log)
    let_go(job)
    before = newest(torn)
    wait(lambda: newest(torn) > before, 300)
    subprocess.run(["scancel", "--signal=TERM", job], env=slurm, check=True)
    queued_again(slurm, wait, job, log)
    let_go(job)
    assert 0 < before < newest(torn) < 60
    assert "stopped by SIGTERM" in log.read_text()
    for run, one in jobs.items():
        finished(slurm, wait, one, run.with_suffix(".log"))

    assert "2" == facts(slurm, job)["Restarts"]
    assert "0" == facts(slurm, jobs[calm])["Restarts"]
    assert [str(k) for k in range(1, 61)] == [row[0] for row in curve(calm)]
    assert curve(calm) == curve(torn)
    nets = [load_checkpoint(run / "model.safetensors") for run in (calm, torn)]
    assert [2, 2] == [info.training["processes"] for _, info in nets]
    ours, theirs = (net.state_dict() for net, _ in nets)
    assert all(bool((ours[name] == theirs[name]).all()) for name in ours)


def test_finetune_and_benchmark_run_as_jobs(slurm, wait, small_build, tmp_path):
    """One after the other: weights to start from, tuned ones, and a table of a scene."""
    from fusiontrain.cli import main

    start, tuned, scene, out = (tmp_path / name for name in ("start", "tuned", "scene", "out"))
    options = ["--max-steps", "2", *SMALL]
    assert 0 == main(["pretrain", "--shards", str(small_build), "--out", str(start), *options])
    weights = start / "model.safetensors"
    assert 0 == main(["export", str(small_build), str(scene)])

    log = tmp_path / "finetune.log"
    job = submit(slurm, log, "slurm/finetune.sbatch", weights, small_build, tuned, *options)
    finished(slurm, wait, job, log)
    log = tmp_path / "benchmark.log"
    methods = ["--methods", "EXP,GSA", "--protocol", "reduced", "--weights"]
    job = submit(
        slurm, log, "slurm/benchmark.sbatch", out, scene, *methods, tuned / "model.safetensors"
    )
    finished(slurm, wait, job, log)

    assert (
        "finetune_full"
        == load_checkpoint(tuned / "model.safetensors")[1].training["recipe"]["name"]
    )
    assert list(out.glob("*.csv"))
