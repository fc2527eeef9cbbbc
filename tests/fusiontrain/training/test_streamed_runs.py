"""pretrain --stream: two ranks over a loopback server, killed and resumed; what ends a run."""

import json
import os
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
import torch

from fusiontrain.cli import main
from fusiontrain.models.checkpoints import load_checkpoint
from fusiontrain.training.training_state import FOLDER, STATE
from tests.support.training_runs import (
    STEPS,
    WAIT,
    begin,
    columns,
    finish,
    kill_at,
    last_step,
    newest_state,
)

SMALL = {"STREAM_BUFFER": "4"}  # samples, so that the buffer turns over within the run
TINY = ["--crop", "16", "--batch-size", "4", "--tracker", "none"]


def places(out, step):
    state = json.loads((out / FOLDER / f"step-{step:08d}" / STATE).read_text())
    return state["stream"]


@pytest.mark.slow
def test_two_ranks_killed_and_resumed_are_the_undisturbed_run(web, starter, tmp_path):
    """Every loss and weight; each rank goes on at the shard that the state names for it."""
    url, faults = web
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    finish(starter, url, whole, 2, "--stream", env=SMALL)

    kill_at(starter, url, broken, 2, 10, 0, "--stream", env=SMALL)
    resumed = newest_state(broken)
    named = places(broken, resumed)
    assert {0, 1} == {place["rank"] for place in named}
    assert any(place["number"] > 0 for place in named), "still in the first pass"
    faults.asked.clear()
    kill_at(starter, url, broken, 2, 6, None, "--stream", env=SMALL)
    # Two streams a rank: each is opened at its shard, whole, and at no other first.
    opened = [name for name, at in faults.asked if name.endswith(".tar")][:4]
    expected = [place["shard"] for place in named]
    assert not Counter(opened) - Counter(expected + expected), (opened, expected)
    finish(starter, url, broken, 2, "--stream", env=SMALL)

    figures = ("step", "step_loss", "gradient_norm")
    losses = columns(whole, *figures)
    assert STEPS == len(losses)
    assert losses == columns(broken, *figures)
    nets = [load_checkpoint(out / "model.safetensors")[0].state_dict() for out in (whole, broken)]
    assert all(torch.equal(tensor, nets[1][name]) for name, tensor in nets[0].items())
    said = Path(f"{broken}.txt").read_text()
    assert f"streaming goes on after step {resumed}: rank 0 at shard-" in said
    assert "come twice" not in said


@pytest.mark.slow
def test_a_run_goes_on_with_another_number_of_readers(web, starter, tmp_path):
    """Two ranks, then one with two workers: said, and finished."""
    url, _ = web
    out = tmp_path / "run"
    kill_at(starter, url, out, 2, 10, None, "--stream", env=SMALL)
    finish(starter, url, out, 1, "--stream", "--workers", "2", env=SMALL)

    assert "come twice, some not at all" in Path(f"{out}.txt").read_text()
    assert STEPS == json.loads((out / "run.json").read_text())["steps"]


@pytest.mark.slow
def test_a_server_that_goes_away_ends_all_ranks_with_a_state(web, starter, tmp_path):
    """One line, code 2; the same command goes on when it is back."""
    url, faults = web
    out = tmp_path / "run"
    long = ["--stream", "--max-steps", "100000", "--save-steps", "0"]
    pids = begin(starter, url, out, 2, *long, env=SMALL)
    end = time.monotonic() + WAIT
    while last_step(out) < 3:
        assert time.monotonic() < end, Path(f"{out}.txt").read_text()[-3000:]
        time.sleep(0.01)

    for number in range(4):
        faults.unavailable[f"shard-{number:06d}.tar"] = 1000
    codes = [starter.ask(wait=pid, seconds=WAIT) for pid in pids]

    said = Path(f"{out}.txt").read_text()
    assert [2, 2] == codes, said[-3000:]
    assert "the server answers 503" in said
    assert "goes on at this shard once it can be read again" in said
    assert "Traceback" not in said
    assert newest_state(out) == last_step(out) >= 3

    faults.unavailable.clear()
    pids = begin(starter, url, out, 2, *long, env=SMALL)
    end = time.monotonic() + WAIT
    while last_step(out) <= newest_state(out):
        assert time.monotonic() < end, Path(f"{out}.txt").read_text()[-3000:]
        time.sleep(0.01)
    os.kill(pids[0], signal.SIGTERM)
    assert [143, 143] == [starter.ask(wait=pid, seconds=WAIT) for pid in pids]


def test_streamed_shards_leave_no_copy(web, tmp_path, monkeypatch):
    """Neither in the cache nor in the run's folder; the run says that it streamed."""
    monkeypatch.setenv("PANPRIOR_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "run"
    argv = ["pretrain", "--shards", web[0], "--stream", "--out", str(out), *TINY]

    assert 0 == main([*argv, "--max-steps", "2"])

    assert not (tmp_path / "cache").exists()
    assert not list(tmp_path.rglob("*.tar"))
    assert json.loads((out / "run.json").read_text())["stream"] is True


def test_a_streamed_run_and_an_exact_one_are_two_runs(web, small_build, tmp_path, capsys):
    """Their batches differ: neither goes on from the other's state."""
    out = tmp_path / "run"
    argv = ["pretrain", "--out", str(out), *TINY, "--max-steps", "2"]

    assert 0 == main([*argv, "--shards", web[0], "--stream"])
    assert 2 == main([*argv, "--shards", str(small_build)])
    assert "weights of another run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (["--on-bad-shard", "skip"], "cannot leave out bad shards"),
        (["--picture-steps", "5"], "need a build to validate on"),
        (["--workers", "30"], "30 readers"),
    ],
)
def test_what_cannot_be_streamed_is_one_line(web, tmp_path, flags, word, capsys):
    argv = ["pretrain", "--shards", web[0], "--stream", "--out", str(tmp_path / "o"), *TINY]

    assert 2 == main([*argv, *flags])
    assert word in capsys.readouterr().err
