"""Kill -9 at any step, twice in a row, between passes, one process or two: the same run.

Kills come from outside, when log.csv shows that a step is done.
"""

import itertools
import json
import os
import random
import re
import shutil
import signal
import time
from pathlib import Path

import pytest
import torch

from fusiontrain.models.checkpoints import load_checkpoint
from fusiontrain.training.training_state import FOLDER
from fusiontrain.training.watchdog import HUNG
from tests.support.training_runs import (
    EPOCH,
    SAVED,
    STEPS,
    WAIT,
    begin,
    columns,
    finish,
    kill_at,
    last_step,
    newest_state,
)

KILLS = 10  # for each number of processes


@pytest.mark.slow
def test_ranks_and_pieces_share_one_batch(small_build, starter, tmp_path):
    """Two processes of two micro-batches each: the losses of one process, up to rounding."""
    short = ["--max-steps", "8", "--save-steps", "0"]
    finish(starter, small_build, tmp_path / "one", 1, *short)
    finish(starter, small_build, tmp_path / "four", 2, *short, "--accumulate", "2")

    found = [
        [[float(x) for x in row] for row in columns(out, "step_loss", "gradient_norm")]
        for out in (tmp_path / "one", tmp_path / "four")
    ]
    assert 8 == len(found[0])
    for one, four in zip(*found, strict=True):
        assert pytest.approx(one, rel=2e-3) == four
    assert pytest.approx(found[0][0], rel=1e-5) == found[1][0]


@pytest.mark.slow
def test_ranks_that_see_other_runs_are_refused(small_build, starter, tmp_path):
    """Here by the seed; other shards show in the same hash."""
    out = tmp_path / "run"
    pids = begin(starter, small_build, out, 2, second=["--seed", "9"])

    assert [2, 2] == [starter.ask(wait=pid, seconds=WAIT) for pid in pids]
    assert "do not see the same shards and options" in Path(f"{out}.txt").read_text()


@pytest.mark.slow
def test_what_is_bad_on_one_machine_is_left_out_on_all(small_build, starter, tmp_path):
    """One flipped byte in the second machine's copy: both ranks still share one order."""
    out, own = tmp_path / "run", tmp_path / "shards"
    shutil.copytree(small_build, own)
    data = bytearray((own / "shard-000001.tar").read_bytes())
    data[3000] ^= 1
    (own / "shard-000001.tar").write_bytes(data)
    more = ["--on-bad-shard", "skip", "--max-bad-shards", "1", "--max-steps", "3"]

    pids = begin(starter, small_build, out, 2, *more, second=["--shards", str(own)])
    codes = [starter.ask(wait=pid, seconds=WAIT) for pid in pids]

    assert [0, 0] == codes, Path(f"{out}.txt").read_text()[-3000:]
    assert ["0/shard-000001.tar"] == json.loads((out / "run.json").read_text())["left_out"]


@pytest.mark.slow
def test_a_shard_that_goes_bad_for_one_rank_ends_all_with_a_line(small_build, starter, tmp_path):
    """And with a state, so that nothing is lost but the shard."""
    out, own = tmp_path / "run", tmp_path / "shards"
    shutil.copytree(small_build, own)
    more = ["--max-steps", "100000", "--save-steps", "0"]
    pids = begin(starter, small_build, out, 2, *more, second=["--shards", str(own)])
    end = time.monotonic() + WAIT
    while last_step(out) < 3:
        assert time.monotonic() < end, Path(f"{out}.txt").read_text()[-3000:]
        time.sleep(0.01)

    for path in own.glob("*.tar"):
        with path.open("ab") as file:
            file.write(b"x")
    codes = [starter.ask(wait=pid, seconds=WAIT) for pid in pids]

    said = Path(f"{out}.txt").read_text()
    assert [2, 2] == codes, said[-3000:]
    assert "another process cannot read its part of step" in said
    assert "copy it again" in said
    assert "Traceback" not in said
    assert newest_state(out) == last_step(out) >= 3


@pytest.mark.slow
def test_a_hung_collective_is_ended(small_build, starter, tmp_path):
    """One rank stands still: the other waits no longer than its limit, and says where."""
    out = tmp_path / "run"
    long = ["--max-steps", "100000", "--hang-minutes", "0.15"]
    pids = begin(starter, small_build, out, 2, *long)
    end = time.monotonic() + WAIT
    while last_step(out) < 3:
        assert time.monotonic() < end, Path(f"{out}.txt").read_text()[-3000:]
        time.sleep(0.01)

    os.kill(pids[1], signal.SIGSTOP)
    code = starter.ask(wait=pids[0], seconds=WAIT)
    os.kill(pids[1], signal.SIGKILL)
    starter.ask(wait=pids[1], seconds=WAIT)

    said = Path(f"{out}.txt").read_text()
    assert HUNG == code, said[-3000:]
    assert "no step for" in said
    assert re.search("in (_agree|_learn)", (out / "hang-rank-0.txt").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("world", [1, 2])
def test_a_run_killed_ten_times_is_the_undisturbed_run(small_build, starter, tmp_path, world):
    """Every step's loss and every weight, bit for bit; twenty kills over both cases."""
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    finish(starter, small_build, whole, world)
    rng = random.Random(6)
    kills = []

    for number in range(KILLS):
        # One rank or the other dies, or both at once.
        rank = [None, 0, 1][number % 3] if world > 1 else None
        on = EPOCH if number == 0 else rng.randint(1, SAVED + 3)
        kills.append(kill_at(starter, small_build, broken, world, on, rank))
    finish(starter, small_build, broken, world)

    targets, states = zip(*kills, strict=True)
    assert any(step % EPOCH == 0 for step in targets), targets
    assert any(step % EPOCH for step in targets), targets
    assert any(a == b for a, b in itertools.pairwise(states)), "never twice without a state between"
    losses = columns(whole, "step", "step_loss", "loss", "gradient_norm", "learning_rate")
    assert [str(k) for k in range(1, STEPS + 1)] == [row[0] for row in losses]
    assert losses == columns(broken, "step", "step_loss", "loss", "gradient_norm", "learning_rate")
    nets = [load_checkpoint(out / "model.safetensors")[0].state_dict() for out in (whole, broken)]
    for name, tensor in nets[0].items():
        assert torch.equal(tensor, nets[1][name]), name
    assert [f"step-{STEPS:08d}"] == [state.name for state in (broken / FOLDER).iterdir()]
    assert not list(tmp_path.glob("*-of-1/states"))  # the second rank's machine has none
