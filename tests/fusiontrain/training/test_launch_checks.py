"""Launches that would train apart are refused; a run that hangs is ended."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from fusiontrain.errors import TrainingError
from fusiontrain.training.launch_checks import (
    hold_folder,
    refuse_lost_processes,
    refuse_split_launch,
)
from fusiontrain.training.watchdog import HUNG
from tests.support.paths import ROOT

BIN = Path(sys.executable).parent
ACCELERATE = {"ACCELERATE_MIXED_PRECISION": "no"}


@pytest.mark.parametrize(
    ("environment", "word"),
    [
        ({"WORLD_SIZE": "2"}, "ACCELERATE_USE_CPU=true before torchrun"),
        ({"OMPI_COMM_WORLD_SIZE": "4"}, "launched as 4 processes"),
        ({**ACCELERATE, "MASTER_ADDR": "127.0.0.1"}, "has started one"),
        ({"SLURM_STEP_NUM_TASKS": "2"}, "srun started 2 tasks"),
    ],
)
def test_split_launches_are_refused(environment, word):
    """What each launcher sets was read from its source, and seen in its processes."""
    with pytest.raises(TrainingError, match=word):
        refuse_split_launch(environment, gpus=False)


@pytest.mark.parametrize(
    "environment",
    [
        {},
        ACCELERATE,
        {"WORLD_SIZE": "1", "RANK": "0"},
        {"WORLD_SIZE": "2", "ACCELERATE_USE_CPU": "true", "MASTER_ADDR": "127.0.0.1"},
        {"WORLD_SIZE": "8", "SLURM_STEP_NUM_TASKS": "2", "ACCELERATE_USE_CPU": "1"},
        {"SLURM_STEP_NUM_TASKS": "1", "SLURM_NTASKS": "4"},
    ],
)
def test_good_launches_are_not(environment):
    refuse_split_launch(environment, gpus=False)


def test_processes_that_do_not_meet_are_refused():
    refuse_lost_processes({"WORLD_SIZE": "2"}, 2)
    refuse_lost_processes({}, 1)
    with pytest.raises(TrainingError, match="launched as 2 processes, but 1 found"):
        refuse_lost_processes({"WORLD_SIZE": "2"}, 1)


def test_a_folder_is_one_runs(tmp_path):
    """And free again when the run has ended, or has been killed."""
    with (
        hold_folder(tmp_path / "run"),
        pytest.raises(TrainingError, match="another process is training in"),
        hold_folder(tmp_path / "run"),
    ):
        pass
    with hold_folder(tmp_path / "run"):
        pass


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="with GPUs the launch is a good one")
def test_accelerate_launch_of_two_without_gpus_is_refused(small_build, tmp_path):
    """It starts one process and says nothing; we do."""
    command = [BIN / "accelerate", "launch", "--cpu", "--num_processes", "2", "--num_machines"]
    command += ["1", "--mixed_precision", "no", "--dynamo_backend", "no"]
    command += ["fusiontrain/pretrain.py", "--shards", small_build, "--out", tmp_path / "run"]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)

    assert 0 != done.returncode
    assert "was to start several processes" in done.stderr
    assert not (tmp_path / "run" / "model.safetensors").exists()


@pytest.mark.slow
def test_an_error_of_the_user_under_accelerate_launch_is_our_line_alone(tmp_path):
    """With --quiet; the launcher exits with 1, `fusiontrain pretrain` with 2."""
    launch = [BIN / "accelerate", "launch", "--quiet", "--num_processes", "1", "--num_machines"]
    launch += ["1", "--mixed_precision", "no", "--dynamo_backend", "no", "fusiontrain/pretrain.py"]
    given = ["--shards", tmp_path / "absent", "--out", tmp_path / "run"]

    launched, plain = (
        subprocess.run([*command, *given], cwd=ROOT, capture_output=True, text=True, timeout=300)
        for command in (launch, [sys.executable, "-m", "fusiontrain", "pretrain"])
    )

    assert (launched.returncode, plain.returncode) == (1, 2)
    assert plain.stderr.count("\n") == 1
    assert "no manifest.json in" in plain.stderr
    assert (launched.stdout, launched.stderr) == (plain.stdout, plain.stderr)


STUCK = """
import sys, threading, time
from pathlib import Path
from fusiontrain.training.watchdog import Watchdog

def stuck_reader():
    time.sleep(600)

with Watchdog(0.05, Path(sys.argv[1])) as dog:  # three seconds
    for _ in range(40):  # moving: the limit passes and nothing happens
        time.sleep(0.1)
        dog.beat()
    print("moved", flush=True)
    threading.Thread(target=stuck_reader).start()
    stuck_reader()
"""


@pytest.mark.slow
def test_a_hang_ends_with_where_it_stood(tmp_path):
    """A stuck reader: every thread's stack in a file, one line, exit code 75."""
    report = tmp_path / "hang.txt"

    done = subprocess.run(
        [sys.executable, "-c", STUCK, report], cwd=ROOT, capture_output=True, text=True, timeout=300
    )

    assert HUNG == done.returncode, done.stderr
    assert "moved" in done.stdout
    assert "no step for" in done.stderr
    assert "run the same command again" in done.stderr
    assert 2 == report.read_text().count("in stuck_reader")


def test_a_run_that_ends_takes_the_watch_with_it():
    """No thread, no timer: the process lives on past the limit."""
    code = "import time, sys; from pathlib import Path\n"
    code += "from fusiontrain.training.watchdog import Watchdog\n"
    code += "with Watchdog(0.01, Path('never')): pass\ntime.sleep(1.5); print('alive')"

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300
    )

    assert (0, "alive\n") == (done.returncode, done.stdout), done.stderr


def test_the_exit_code_asks_to_try_again():
    """sysexits.h: a failure that may pass."""
    assert os.EX_TEMPFAIL == HUNG
