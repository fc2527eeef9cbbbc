"""The seed's experiment in small; and that the report's sentences are what its figures give."""

import json
import math
import shutil

import numpy as np
import pytest
import torch

from bench.study.__main__ import main
from bench.study.seed import cells, report
from bench.study.seed.ground import read_grounds
from bench.study.seed.plan import (
    BOTH,
    KINDS,
    SCRATCH,
    TUNINGS,
    Cell,
    classical_names,
    plan,
    zero_shot,
)
from bench.study.seed.questions import images, pretraining, simulation
from bench.study.seed.results import Results
from bench.study.seed.scores import Scores
from tests.bench.study.test_parts import write_scene
from tests.support.paths import ROOT

SENSORS = ("IKONOS", "QuickBird")
REPORT = ROOT / "docs" / "reports" / "seed.md"


@pytest.fixture(autouse=True)
def threads():
    """The study sets torch's threads; they are put back."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """One scene of each sensor, 160 MS pixels a side: halves that can be learnt from."""
    folder = tmp_path_factory.mktemp("scenes")
    for seed, sensor in enumerate(SENSORS):
        rng = np.random.default_rng(seed)
        fine = rng.normal(0, 1, (4, 640, 640)).cumsum(1).cumsum(2)
        fine = 300 + 200 * (fine - fine.min()) / np.ptp(fine) + rng.normal(0, 9, fine.shape)
        write_scene(folder, sensor.lower(), fine, sensor=sensor)
    return folder


@pytest.mark.slow
def test_a_small_experiment(photos, scenes, tmp_path, capsys, monkeypatch):
    """Every kind of cell; a second call trains nothing; the report is the same."""
    monkeypatch.setattr(cells, "TUNING_STEPS", 2)
    for kind in ("imagenet", "rsscn7"):
        shutil.copytree(photos, tmp_path / "photos" / kind)
    given = ["seed", "--photos", str(tmp_path / "photos"), "--scenes", str(scenes)]
    given += ["--work", str(tmp_path), "--networks", "PanNet", "--sensors", *SENSORS]
    given += ["--crops", "4"]

    assert 0 == main([*given, "--minutes", "0"])
    assert "cells left; run again to go on" in capsys.readouterr().err
    assert 0 == main(given)
    first = (tmp_path / "seed" / "seed.md").read_text()
    kept = (tmp_path / "seed" / "results.jsonl").read_bytes()
    assert 0 == main(given)
    assert 0 == main([*given, "--table"])

    assert kept == (tmp_path / "seed" / "results.jsonl").read_bytes()
    assert first == (tmp_path / "seed" / "seed.md").read_text()
    assert b"RIFF" == (tmp_path / "seed" / "seed.webp").read_bytes()[:4]
    assert "cells of the whole plan: SwinIR, zero-shot" in first
    tunings = {json.loads(json.loads(line)["key"])["tuning"] for line in kept.splitlines()}
    assert {"classical", "shipped", "zero-shot", "full", "freeze", *SCRATCH} == tunings


def test_what_is_judged_is_not_learnt_from(scenes):
    """The two halves of a scene share no pixel of the truth, of MS or of PAN."""
    grounds = read_grounds([scenes], SENSORS)

    assert list(SENSORS) == list(grounds)
    for ground in grounds.values():
        (judged,) = ground.judged
        widths = [case.truth.shape[2] for case in (ground.learnt, judged)]
        assert sum(widths) + 16 <= 160
        assert ground.learnt.truth.shape[1:] == (160, widths[0])
        columns = [{tuple(c) for c in case.truth[0].T.tolist()} for case in (ground.learnt, judged)]
        assert not columns[0] & columns[1]


def test_the_plan_begins_with_what_says_most():
    planned = plan(["PanNet", "GPPNN"], ["IKONOS", "QuickBird", "GaoFen-2"], [0, 1], 64)

    keys = [cell.key for cell in planned]
    assert len(keys) == len(set(keys))
    assert len(classical_names()) == [c.tuning for c in planned].index("shipped")
    tuned = [cell for cell in planned if cell.tuning in ("full", "freeze") and cell.crops]
    assert all(keys.index(cell.start.key) < keys.index(cell.key) for cell in tuned)
    assert {"IKONOS"} == {cell.sensor for cell in tuned if cell.network == "GPPNN"}
    assert {0, 1} == {cell.seed for cell in planned if cell.network == "PanNet"}
    assert {0} == {cell.seed for cell in planned if cell.network == "GPPNN"}


def record_of(ratio):
    """ERGAS of both sensors `ratio` times the best classical one, which is 2."""
    return {"reduced": {s: {s: {"ERGAS": 2 * ratio}} for s in SENSORS}, "seconds": 1.0, "steps": 1}


@pytest.fixture
def results(tmp_path):
    """Made figures: PanNet's pretraining helps by 20 %, GPPNN's harms, SwinIR's is within .5 %."""
    made = Results(tmp_path / "results.jsonl")
    for name in classical_names():
        made.add(Cell(network=name, tuning="classical").key, record_of(1.0))
    for network, ratio in (("PanNet", 0.8), ("GPPNN", 1.3), ("SwinIR", 1.004)):
        for recipe, factor in (("ours", 1.0), ("paper", 1.1)):
            for kind in (*KINDS, BOTH):
                cell = zero_shot(network, recipe, kind, 0, 64)
                made.add(cell.key, record_of(ratio * factor))
        for sensor in SENSORS:
            for tuning, value in (
                ("full", ratio),
                ("freeze", ratio),
                ("scratch", 1.0),
                ("brief", 1.0),
            ):
                start = {"recipe": "ours", "images": BOTH} if tuning in TUNINGS else {}
                cell = Cell(network=network, tuning=tuning, sensor=sensor, crops=64, **start)
                made.add(cell.key, record_of(value))
    return made


def test_sentences_say_what_the_figures_give(results):
    """.5 % is no difference; 20 and 30 % are, in their directions."""
    _, own, shipped, other = pretraining(Scores(results)).sentences

    assert "lower ERGAS than training from scratch on as many crops in all for PanNet;" in own
    assert "higher ERGAS than training from scratch on as many crops in all for GPPNN;" in own
    assert "is equal to training from scratch on as many crops in all for SwinIR." in own
    assert shipped.endswith("not run.")
    assert "zero-shot" in other
    first, fixed, second = simulation(Scores(results)).sentences
    assert "gives lower ERGAS than pretraining by `paper` for PanNet, SwinIR and GPPNN." in first
    assert fixed.endswith("not run.")
    assert second == "Ours is ahead for every network on IKONOS and QuickBird."
    assert all("equal to photographs" in text for text in images(Scores(results)).sentences)


def test_a_difference_within_two_spreads_does_not_count(results):
    """Seeds that differ by a third: 20 % say nothing any more."""
    for seed, ratio in ((1, 0.7), (2, 1.1)):
        for sensor in SENSORS:
            cell = Cell(network="PanNet", tuning="scratch", sensor=sensor, seed=seed, crops=64)
            results.add(cell.key, record_of(ratio))
    scores = Scores(results)

    expected = np.std(np.log([1, 0.7, 1.1]), ddof=1)
    assert scores.spread("scratch", "PanNet") == pytest.approx(expected)
    assert "lower" not in pretraining(scores).sentences[1]


def test_a_cut_line_of_a_killed_run_is_left_out(tmp_path):
    path = tmp_path / "results.jsonl"
    cell = Cell(network="GSA", tuning="classical")
    Results(path).add(cell.key, record_of(math.pi))
    with path.open("a") as file:
        file.write('{"key": "cu')

    again = Results(path)

    assert [6.28319] == [r["reduced"]["IKONOS"]["IKONOS"]["ERGAS"] for _, r in again]


def test_the_report_is_that_of_its_results():
    """docs/reports/seed.md, byte by byte, from the results beside it."""
    assert REPORT.read_text() == report.make_report(Results(REPORT.with_suffix(".jsonl")))
