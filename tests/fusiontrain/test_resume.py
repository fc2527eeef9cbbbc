"""A run that was stopped goes on as if it had not been."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from fusiontrain.checkpoints import load_checkpoint
from fusiontrain.errors import TrainingError
from fusiontrain.resume import FOLDER, KEPT, Progress, drop_states, load_state, save_state

ROOT = Path(__file__).parents[2]
SMALL = ["--crop", "32", "--batch-size", "4", "--max-steps"]


def command_of(build, out, steps, *more):
    door = [sys.executable, "-m", "fusiontrain", "pretrain", "--shards", str(build)]
    return [*door, "--out", str(out), *SMALL, str(steps), *more]


def weights_of(out):
    return load_checkpoint(out / "model.safetensors")[0].state_dict()


def toy():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 1))
    return net, torch.optim.AdamW(net.parameters(), lr=0.1)


def train_toy(net, optimizer, steps):
    for step in steps:
        data = torch.randn(8, 3, generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        net(data).square().mean().backward()
        optimizer.step()


def test_a_state_holds_all_that_a_step_depends_on(tmp_path):
    """Ten steps are ten steps, whether in one go or with a state between."""
    straight, optimizer = toy()
    train_toy(straight, optimizer, range(10))
    first, optimizer = toy()
    train_toy(first, optimizer, range(4))
    save_state(tmp_path, first, optimizer, Progress(step=4, seconds=1.5, loss=0.2), {"digest": "d"})

    second, optimizer = toy()
    found = load_state(tmp_path, second, optimizer, {"digest": "d"}, print)
    train_toy(second, optimizer, range(found.step, 10))

    assert Progress(step=4, seconds=1.5, loss=0.2) == found
    for a, b in zip(straight.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_damaged_state_is_passed_over_and_said(tmp_path):
    """One flipped byte in the newest: the one before it is taken."""
    net, optimizer = toy()
    for step in (10, 20, 30):
        train_toy(net, optimizer, [step])
        save_state(
            tmp_path, net, optimizer, Progress(step=step, seconds=0.0, loss=1.0), {"digest": "d"}
        )
    states = sorted((tmp_path / FOLDER).iterdir())
    assert KEPT == len(states)
    file = states[-1] / "optimizer.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    said = []

    found = load_state(tmp_path, net, optimizer, {"digest": "d"}, said.append)

    assert 20 == found.step
    assert "damaged" in said[0]
    with pytest.raises(TrainingError, match="another run"):
        load_state(tmp_path, net, optimizer, {"digest": "other"}, print)
    drop_states(tmp_path)
    assert load_state(tmp_path, net, optimizer, {"digest": "d"}, print) is None


def test_a_half_written_state_is_no_state(tmp_path):
    """What a kill leaves under another name is not looked at, and the next save clears it."""
    net, optimizer = toy()
    partial = tmp_path / FOLDER / ".step-00000005.partial"
    partial.mkdir(parents=True)
    (partial / "weights.safetensors").write_bytes(b"half")

    assert load_state(tmp_path, net, optimizer, {"digest": "d"}, print) is None
    save_state(tmp_path, net, optimizer, Progress(step=5, seconds=0.0, loss=1.0), {"digest": "d"})
    assert ["step-00000005"] == [p.name for p in (tmp_path / FOLDER).iterdir()]


@pytest.mark.slow
def test_stopped_twice_the_run_ends_as_the_unbroken_one(small_build, tmp_path):
    """SIGTERM, exit 143, the same command; a kill -9, the same command: equal bit for bit."""
    steps = 60
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    subprocess.run(command_of(small_build, whole, steps), cwd=ROOT, check=True, capture_output=True)

    for number, code in ((signal.SIGTERM, 143), (signal.SIGKILL, -9)):
        process = subprocess.Popen(
            command_of(small_build, broken, steps, "--save-minutes", "0.005"),
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        seen = newest(broken)
        while process.poll() is None and newest(broken) <= seen:
            time.sleep(0.02)
        os.kill(process.pid, number)
        said = process.communicate(timeout=60)[1]
        assert code == process.returncode, said
        if number == signal.SIGTERM:
            assert "run the same command again" in said
    assert 0 < newest(broken) < steps
    subprocess.run(
        command_of(small_build, broken, steps, "--save-minutes", "0.005"),
        cwd=ROOT,
        check=True,
        capture_output=True,
    )

    for name, tensor in weights_of(whole).items():
        assert torch.equal(tensor, weights_of(broken)[name]), name
    assert not (broken / FOLDER).exists()
    logs = [(out / "log.csv").read_text().splitlines() for out in (whole, broken)]
    steps_logged = [[line.split(",")[0] for line in log] for log in logs]
    assert steps_logged[0] == steps_logged[1]
    assert 60 == json.loads((broken / "run.json").read_text())["steps"]


def newest(out) -> int:
    found = [int(p.name.removeprefix("step-")) for p in (out / FOLDER).glob("step-*")]
    return max(found, default=0)
