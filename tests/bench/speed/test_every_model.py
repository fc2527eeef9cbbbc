"""The command that takes every network from shards to a fused scene, on two of them."""

import contextlib
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import rasterio

from bench.speed import every_model
from fusiontrain.models.checkpoints import load_checkpoint
from tests.support.snippet_commands import PROGRAMS, our_command

TWO = ("pnn", "anyband-small")
start = every_model.command


def mostly_here(name, *words):
    """The launch of one network starts processes, as the command does for all; the rest is here."""
    if "pnn" in words:
        start(name, *words)
        return
    program, arguments = our_command([name, *words])
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        assert PROGRAMS[program].main(arguments) == 0, words


@pytest.mark.slow
def test_two_networks_from_shards_to_a_fused_scene(tmp_path, capsys, monkeypatch):
    """What the table says is so of the files; a second run does nothing again."""
    given = [
        "--models",
        *TWO,
        "--work",
        str(tmp_path),
        "--steps",
        "30",
        "--seconds",
        "1e6",
    ]  # the steps end it, not the clock
    monkeypatch.setattr(every_model, "command", mostly_here)

    assert 0 == every_model.main(given)

    said = capsys.readouterr().out
    for name in TWO:
        assert f"| {name} | 30 |" in said
        _, info = load_checkpoint(tmp_path / name / "model.safetensors", expect=name)
        assert 30 == info.training["steps"]
        with rasterio.open(tmp_path / name / "fused.tif") as file:
            assert (4, 148, 92) == (file.count, *file.shape)
    monkeypatch.setattr(every_model, "command", pytest.fail)
    assert 0 == every_model.main(given)
    assert said == capsys.readouterr().out


def test_what_falls_short_is_said(tmp_path, capsys):
    """A loss that did not fall, other bits, another size: the exit code says so."""
    good = {"steps": 9, "built": 2.0, "trained": 1.0, "same_bits": True, "fused": "4 x 148 x 92"}
    for change in ({}, {"trained": 2.0}, {"same_bits": False}, {"fused": "4 x 148 x 88"}):
        (tmp_path / "pnn.json").write_text(json.dumps(good | change))

        code = every_model.main(["--models", "pnn", "--work", str(tmp_path)])

        assert (1 if change else 0) == code
        assert bool(change) == ("not good: pnn" in capsys.readouterr().err)


def test_a_network_that_is_not_a_number_is_not_good():
    row = every_model.Row(steps=9, built=2.0, trained=1.0, same_bits=True, fused="4 x 148 x 92")

    assert row.good
    assert not replace(row, trained=float("nan")).good
