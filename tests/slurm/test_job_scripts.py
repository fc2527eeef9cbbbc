"""What the job scripts start: srun and python are programs that print their arguments."""

import os
import subprocess

import pytest

from tests.support.paths import ROOT


@pytest.fixture
def start(tmp_path):
    """(script, *arguments, **environment): the exit code and the arguments of what it starts."""
    for name in ("srun", "python"):
        (tmp_path / name).write_text('#!/bin/bash\nprintf "%s\\n" "$@"\n')
        (tmp_path / name).chmod(0o755)

    def run(script, *arguments, **environment):
        plain = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM", "SRUN"))}
        paths = {
            "PATH": f"{tmp_path}:{plain['PATH']}",
            "PYTHON": str(tmp_path / "python"),
            "MASTER_ADDR": "127.0.0.1",
            "SLURM_NTASKS": "1",
            "SLURM_JOB_ID": "7",
        }
        done = subprocess.run(
            ["bash", ROOT / "slurm" / script, *arguments],
            env=plain | paths | environment,
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout.splitlines(), done.stderr

    return run


def values(arguments, flag):
    return [arguments[i + 1] for i, word in enumerate(arguments) if word == flag]


@pytest.mark.parametrize("script", ["pretrain.sbatch", "finetune.sbatch"])
@pytest.mark.parametrize(
    ("gpus", "cores", "workers"), [("4", "8", "7"), ("1", "16", "8"), ("1", "1", "0")]
)
def test_a_gpu_has_readers(start, script, gpus, cores, workers):
    """The task's other cores, up to eight: with none the GPU starves."""
    code, arguments, _ = start(
        script, "one", "two", "three", SLURM_GPUS_ON_NODE=gpus, SLURM_CPUS_PER_TASK=cores
    )

    assert 0 == code
    assert [workers] == values(arguments, "--workers")


@pytest.mark.parametrize("script", ["pretrain.sbatch", "finetune.sbatch"])
def test_without_a_gpu_the_cores_compute(start, script):
    _, arguments, _ = start(script, "one", "two", "three", SLURM_CPUS_PER_TASK="8")

    assert ["0"] == values(arguments, "--workers")


@pytest.mark.parametrize("script", ["pretrain.sbatch", "finetune.sbatch"])
def test_workers_that_are_given_count(start, script):
    """The last of two is what the commands take."""
    given = ("one", "two", "three", "--workers", "3")
    _, arguments, _ = start(script, *given, SLURM_GPUS_ON_NODE="1", SLURM_CPUS_PER_TASK="8")

    assert "3" == values(arguments, "--workers")[-1]


@pytest.mark.parametrize(
    ("gpus", "cores", "workers"), [("1", "16", "6"), ("2", "16", "12"), ("1", "4", "4")]
)
def test_six_workers_share_a_gpu(start, gpus, cores, workers):
    """Sixteen contexts on one would take its memory."""
    given = ("folder", "photos", "out", "--device", "gpu")
    code, arguments, _ = start(
        "shards.sbatch", *given, SLURM_GPUS_ON_NODE=gpus, SLURM_CPUS_PER_TASK=cores
    )

    assert 0 == code
    assert [workers] == values(arguments, "--workers")


def test_shards_on_the_cpu_take_every_core(start):
    given = ("folder", "photos", "out")
    _, arguments, _ = start("shards.sbatch", *given, SLURM_CPUS_PER_TASK="16")

    assert ["16"] == values(arguments, "--workers")


@pytest.mark.parametrize("flag", [("--device", "gpu"), ("--device=gpu",)])
def test_a_gpu_that_slurm_did_not_give_is_asked_for(start, flag):
    code, arguments, message = start(
        "shards.sbatch", "folder", "photos", "out", *flag, SLURM_CPUS_PER_TASK="16"
    )

    assert 2 == code
    assert [] == arguments
    assert "--gres=gpu:1" in message
