"""A run that was stopped goes on as if it had not been."""

import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch

from fusiontrain.cli import main
from fusiontrain.errors import TrainingError
from fusiontrain.pretrain import main as pretrain
from fusiontrain.training.csv_log import Table
from fusiontrain.training.ema import WeightEma
from fusiontrain.training.training_state import (
    FOLDER,
    KEPT,
    Progress,
    load_state,
    save_state,
)
from tests.support.paths import ROOT

SMALL = ["--crop", "32", "--batch-size", "4", "--max-steps"]


def command_of(build, out, steps, *more):
    command = [sys.executable, "-m", "fusiontrain", "pretrain", "--shards", str(build)]
    return [*command, "--out", str(out), *SMALL, str(steps), *more]


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
    shutil.rmtree(tmp_path / FOLDER)
    assert load_state(tmp_path, net, optimizer, {"digest": "d"}, print) is None


def states_of(tmp_path, steps=(10, 20)):
    """Two states of a toy with averaged weights; the newest's folder."""
    net, optimizer = toy()
    average = WeightEma(net, 0.9)
    for step in steps:
        train_toy(net, optimizer, [step])
        average.update(net)
        now = Progress(step=step, seconds=0.0, loss=1.0, best=0.5, best_step=step)
        folder = save_state(tmp_path, net, optimizer, now, {"digest": "d"}, average)
    return folder, average


FILES = (
    "weights.safetensors",
    "optimizer.safetensors",
    "average.safetensors",
    "state.json",
    "DONE",
)


@pytest.mark.parametrize("name", FILES)
def test_a_state_torn_at_any_file_is_passed_over(tmp_path, name):
    """Each file in turn: gone, cut anywhere, a bit flipped anywhere. The one before is taken."""
    folder, _ = states_of(tmp_path)
    assert set(FILES) == {p.name for p in folder.iterdir()}
    file = folder / name
    whole = file.read_bytes()
    rng = random.Random(name)
    places = range(len(whole)) if len(whole) < 1000 else rng.sample(range(len(whole)), 60)
    torn = [None, *(whole[:cut] for cut in (0, 1, len(whole) // 2, len(whole) - 1))]
    for place in places:
        flipped = bytearray(whole)
        flipped[place] ^= 1 << rng.randrange(8)
        torn.append(bytes(flipped))
    torn.append(whole + b"x")

    for data in torn:
        file.unlink(missing_ok=True)
        if data is not None:
            file.write_bytes(data)
        said, (net, optimizer) = [], toy()
        found = load_state(tmp_path, net, optimizer, {"digest": "d"}, said.append)
        assert 10 == found.step, data
        assert 1 == len(said)
        assert "is damaged" in said[0]
        assert str(folder) in said[0]

    file.write_bytes(whole)
    assert 20 == load_state(tmp_path, *toy(), {"digest": "d"}, print).step


def test_a_damaged_state_takes_no_whole_ones_place(tmp_path):
    """Passed over, it goes with the next save, though its number is higher."""
    folder, _ = states_of(tmp_path)
    (folder / "DONE").unlink()
    net, optimizer = toy()
    assert 10 == load_state(tmp_path, net, optimizer, {"digest": "d"}, lambda _: None).step

    for step in (12, 14):
        now = Progress(step=step, seconds=0.0, loss=1.0)
        save_state(tmp_path, net, optimizer, now, {"digest": "d"})

    assert {"step-00000012", "step-00000014"} == {p.name for p in (tmp_path / FOLDER).iterdir()}


def test_a_table_keeps_names_with_commas_and_one_row_a_step(tmp_path):
    """Scenes are named by their files; a run stopped at its end measures its last step again."""
    columns = ("step", 'ergas a,b "c"')
    for start, values in ((0, (5.0, 10.0)), (10, (10.0, 12.0))):
        table = Table(tmp_path / "t.csv", columns, start)
        for step in values:
            table.row({"step": step, columns[1]: step / 2})
        table.close()

    with (tmp_path / "t.csv").open(newline="") as file:
        rows = list(csv.reader(file))

    assert [list(columns), ["5", "2.5"], ["10", "5"], ["12", "6"]] == rows


def test_weights_left_without_their_end_are_a_finished_run(small_build, tmp_path, capsys):
    """Killed after the weights were named: no state is needed to know it, the last one stays."""
    out = tmp_path / "run"
    command = ["pretrain", "--shards", str(small_build), "--out", str(out), "--crop", "16"]
    command += ["--batch-size", "4", "--max-steps", "2", "--tracker", "none"]
    assert 0 == main(command)
    (out / FOLDER / "step-00000001").mkdir()

    assert 0 == main(command)

    assert "already trained" in capsys.readouterr().out
    assert (out / "run.json").is_file()
    assert newest(out) == 2


def test_a_full_or_barred_disk_is_one_line(small_build, tmp_path, capsys):
    """By both entry points: `fusiontrain pretrain`, and the file that launchers start."""
    (tmp_path / "run" / "log.csv").mkdir(parents=True)
    given = ["--shards", str(small_build), "--out", str(tmp_path / "run"), "--crop", "16"]
    given += ["--batch-size", "4", "--max-steps", "2", "--tracker", "none"]

    for command, argv in ((main, ["pretrain", *given]), (pretrain, given)):
        assert 2 == command(argv)
        said = capsys.readouterr().err
        assert "log.csv" in said
        assert "it is a folder" in said


def test_states_of_the_first_version_are_read(tmp_path):
    """They had neither a mark nor what came later."""
    folder, _ = states_of(tmp_path)
    (folder / "DONE").unlink()
    (folder / "average.safetensors").unlink()
    state = json.loads((folder / "state.json").read_text())
    kept = {k: state[k] for k in ("identity", "step", "seconds", "loss", "sha256")}
    del kept["sha256"]["average.safetensors"]
    (folder / "state.json").write_text(json.dumps({"version": 1, **kept}))

    found = load_state(tmp_path, *toy(), {"digest": "d"}, pytest.fail)

    assert Progress(step=20, seconds=0.0, loss=1.0) == found


def test_a_state_of_another_form_of_the_network_is_one_line(tmp_path):
    """As after an update that changed it; nothing is half-loaded."""
    states_of(tmp_path)
    net = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.Linear(5, 1))
    before = [p.detach().clone() for p in net.parameters()]

    with pytest.raises(TrainingError, match="the state of step 20 is of another form"):
        load_state(tmp_path, net, torch.optim.AdamW(net.parameters()), {"digest": "d"}, print)

    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))


def test_averaged_weights_and_the_best_come_back(tmp_path):
    """With the count of updates, on which the next one depends."""
    _, average = states_of(tmp_path)
    net, optimizer = toy()
    other = WeightEma(net, 0.9)

    found = load_state(tmp_path, net, optimizer, {"digest": "d"}, print, other)

    assert (0.5, 20) == (found.best, found.best_step)
    assert average.updates == other.updates == 2
    for name, tensor in average.tensors.items():
        assert torch.equal(tensor, other.tensors[name])


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
def test_a_signal_saves_and_the_same_command_goes_on(small_build, tmp_path):
    """SIGUSR1 as from Slurm: a state at once, exit 138; then to the end. test_kills.py has -9."""
    out, steps = tmp_path / "run", 400
    command = command_of(small_build, out, steps, "--log-steps", "1", "--tracker", "none")
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    while process.poll() is None and not (out / "log.csv").exists():
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGUSR1)
    said = process.communicate(timeout=300)[1]

    assert 128 + signal.SIGUSR1 == process.returncode, said
    assert "run the same command again" in said
    assert newest(out) < steps


@pytest.mark.parametrize("resume", ["auto", "never"])
def test_resume_never_leaves_an_unfinished_run_alone(small_build, tmp_path, resume, capsys):
    """What is there is neither taken nor lost."""
    short = ["--crop", "16", "--batch-size", "4", "--max-steps", "4", "--tracker", "none"]
    command = ["pretrain", "--shards", str(small_build), "--out", str(tmp_path / "run"), *short]
    states = tmp_path / "run" / FOLDER / "step-00000002"
    states.mkdir(parents=True)

    code = main([*command, "--resume", resume])

    said = capsys.readouterr()
    if resume == "never":
        assert 2 == code
        assert "holds a run that could go on" in said.err
        assert states.exists()
    else:  # a state without files is a damaged one: said, and the run begins anew
        assert 0 == code, said
        assert "is damaged" in said.err


def newest(out) -> int:
    found = [int(p.name.removeprefix("step-")) for p in (out / FOLDER).glob("step-*")]
    return max(found, default=0)
