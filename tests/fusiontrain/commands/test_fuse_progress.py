"""Progress of `fuse` without a terminal: lines, by a clock of the test's own."""

import itertools
import re
from functools import partial

import numpy as np
import pytest

from fusiontrain.cli import main
from fusiontrain.commands import fuse_printing
from shards.progress_lines import ProgressLines
from tests.support.geotiffs import write_pair


@pytest.fixture
def pair(tmp_path):
    rng = np.random.default_rng(0)
    return write_pair(
        tmp_path, rng.uniform(100, 900, (1, 128, 256)), rng.uniform(1, 9, (3, 32, 64))
    )


@pytest.fixture
def ticking(monkeypatch):
    """Each look at the clock is 10 s later."""
    ticks = itertools.count(0, 10)
    timed = partial(ProgressLines, clock=lambda: next(ticks))
    monkeypatch.setattr(fuse_printing, "ProgressLines", timed)


def fuse(pair, out, *flags):
    return main(["fuse", *pair, str(out), "--register", "off", "--window", "64", *flags])


def test_lines_of_windows(pair, tmp_path, ticking, capsys):
    """Eight windows of 64 PAN pixels; the first pass of GSA is said too."""
    assert 0 == fuse(pair, tmp_path / "f.tif", "--method", "gsa")

    said = capsys.readouterr().err
    assert [f"{n} of 8" for n in range(1, 9)] == re.findall(r"fusing: window (\d of 8)", said)
    assert re.search(r"fusing: window 4 of 8, 50 %, about \d+ (s|min) left", said)
    first = re.findall(r"statistics: window (\d+) of (\d+)", said)
    assert first
    assert all(int(done) <= int(total) for done, total in first)
    assert first[-1][0] == first[-1][1]


def test_the_networks_first_pass(pair, tmp_path, weights, ticking, capsys):
    flags = ("--weights", str(weights), "--softness", ".3")

    assert 0 == fuse(pair, tmp_path / "f.tif", *flags)

    assert "reading the scene's statistics: window 1 of 1, 100 %" in capsys.readouterr().err


def test_quiet_and_quick_work_say_nothing(pair, tmp_path, ticking, capsys):
    assert 0 == fuse(pair, tmp_path / "f.tif", "--method", "exp", "--quiet")
    assert "" == capsys.readouterr().err


def test_what_was_measured_is_a_sentence(pair, tmp_path, capsys):
    assert 0 == fuse(pair, tmp_path / "f.tif", "--method", "glp-fs", "--softness", ".3")

    said = capsys.readouterr().out
    assert "fusiontrain: 3 bands, 128 x 256 pixels, 4 PAN pixels to one MS pixel\n" in said
    assert "fusiontrain: Measured on this pair: MTF of the MS 0." in said
    assert "fusiontrain: Softness 0.30 (as asked)\n" in said
    assert "registered by" not in said  # the sentence of the registration says it


def test_what_was_not_measured_is_not_said_to_be(pair, tmp_path, capsys):
    """EXP uses no gain, and without registration nothing is estimated."""
    assert 0 == fuse(pair, tmp_path / "f.tif", "--method", "exp", "--register", "off")

    said = capsys.readouterr().out
    assert "fusiontrain: Used for this pair: MTF of the MS 0." in said
    assert "fusiontrain: Softness 0.30 (nominal)\n" in said
