"""slurm/elastic.sbatch: torchrun on two nodes of a Slurm on loopback, one of which is lost."""

import os
import signal
from pathlib import Path

import pytest

from tests.slurm.test_training_sbatch import SMALL, curve, newest, state, submit

pytestmark = pytest.mark.slow


def processes_of(job, node):
    """Numbers of the processes that Slurm started for this job on a node, and of their children."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            words = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if f"SLURM_JOB_ID={job}".encode() in words and f"SLURMD_NODENAME={node}".encode() in words:
            command = (folder / "cmdline").read_bytes()
            if b"torch.distributed.run" in command or b"pretrain.py" in command:
                found.append(int(folder.name))
    return found


def test_a_run_goes_on_when_a_node_is_lost(slurm, wait, small_build, tmp_path):
    """Agent and worker of the second node are killed: the first goes on from the newest state, and
    every step has the loss that it has on one node.
    """
    torn, calm = tmp_path / "torn", tmp_path / "calm"
    steps = ["--max-steps", "14", "--save-steps", "4", *SMALL]
    job = submit(slurm, tmp_path / "torn.log", "slurm/elastic.sbatch", small_build, torn, *steps,
                 nodes=2)  # fmt: skip
    wait(lambda: newest(torn) > 0, 300)
    second = processes_of(job, "two")
    assert len(second) >= 2
    for number in second:
        os.kill(number, signal.SIGKILL)
    before = newest(torn)
    assert before < 14
    wait(lambda: state(slurm, job) not in ("PENDING", "RUNNING", "COMPLETING"), 400)
    assert (torn / "model.safetensors").exists(), (tmp_path / "torn.log").read_text()[-3000:]

    from fusiontrain.cli import main

    argv = ["pretrain", "--shards", str(small_build), "--out", str(calm), *steps]
    assert 0 == main(argv)
    ours, theirs = ([(row[0], float(row[1])) for row in curve(run)] for run in (torn, calm))
    assert [step for step, _ in theirs] == [step for step, _ in ours]
    # Two ranks add their gradients in another order than one: rounding, which grows with steps.
    for (_, one), (_, other) in zip(ours, theirs, strict=True):
        assert pytest.approx(other, rel=2e-3) == one
