"""The command that takes every network through its doors, on two of them."""

import json
import sys
from dataclasses import replace

import pytest
import rasterio

from fusiontrain.models.checkpoints import load_checkpoint
from tests.support.paths import ROOT

BENCH = ROOT / "bench"
TWO = ("pnn", "anyband-small")


@pytest.fixture
def bench(monkeypatch):
    """bench/every_model.py, which is no package."""
    monkeypatch.syspath_prepend(str(BENCH))
    import every_model as module

    yield module
    sys.modules.pop("every_model", None)


@pytest.mark.slow
def test_two_networks_go_through_all_doors(bench, tmp_path, capsys, monkeypatch):
    """What the table says is so of the files; a second run does nothing again."""
    given = ["--models", *TWO, "--work", str(tmp_path), "--steps", "30", "--seconds", "60"]

    assert 0 == bench.main(given)

    said = capsys.readouterr().out
    for name in TWO:
        assert f"| {name} | 30 |" in said
        _, info = load_checkpoint(tmp_path / name / "model.safetensors", expect=name)
        assert 30 == info.training["steps"]
        with rasterio.open(tmp_path / name / "fused.tif") as file:
            assert (4, 148, 92) == (file.count, *file.shape)
    monkeypatch.setattr(bench, "command", pytest.fail)
    assert 0 == bench.main(given)
    assert said == capsys.readouterr().out


def test_what_falls_short_is_said(bench, tmp_path, capsys):
    """A loss that did not fall, other bits, another size: the exit code says so."""
    good = {"steps": 9, "built": 2.0, "trained": 1.0, "same_bits": True, "fused": "4 x 148 x 92"}
    for change in ({}, {"trained": 2.0}, {"same_bits": False}, {"fused": "4 x 148 x 88"}):
        (tmp_path / "pnn.json").write_text(json.dumps(good | change))

        code = bench.main(["--models", "pnn", "--work", str(tmp_path)])

        assert (1 if change else 0) == code
        assert bool(change) == ("not good: pnn" in capsys.readouterr().err)


def test_a_network_that_is_not_a_number_is_not_good(bench):
    row = bench.Row(steps=9, built=2.0, trained=1.0, same_bits=True, fused="4 x 148 x 92")

    assert row.good
    assert not replace(row, trained=float("nan")).good
