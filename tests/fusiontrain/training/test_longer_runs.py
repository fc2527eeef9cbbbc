"""A run's config file starts it again; a run goes on to a later end, or says what differs."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from fusiontrain.cli import main
from fusiontrain.errors import TrainingError
from fusiontrain.models.checkpoints import load_checkpoint
from fusiontrain.training.config import TrainConfig
from fusiontrain.training.run_difference import length_note, refuse_other_run

TINY = ["--model", "anyband-small", "--crop", "16", "--batch-size", "2", "--tracker", "none",
        "--log-steps", "1"]  # fmt: skip


def pretrain(*argv):
    return main(["pretrain", *map(str, argv)])


def weights(run):
    return load_checkpoint(run / "model.safetensors")[0].state_dict()


def equal(run, other):
    a, b = weights(run), weights(other)
    return all(torch.equal(a[name], b[name]) for name in a)


def facts(run):
    return json.loads((run / "run.json").read_text())


@pytest.fixture(scope="module")
def short(small_build, tmp_path_factory):
    """(arguments without an end, folder): two steps at a constant rate."""
    out = tmp_path_factory.mktemp("runs") / "short"
    given = ["--shards", f"{small_build}:0.5", "--schedule", "constant", "--seed", "4", *TINY]
    assert pretrain(*given, "--out", out, "--max-steps", 2) == 0
    return given, out


def test_the_config_that_a_run_leaves_starts_it_again(short, tmp_path, capsys, monkeypatch):
    """From any folder; in its own it is found finished."""
    monkeypatch.chdir(tmp_path)
    config = short[1] / "config.yaml"

    assert pretrain("--config", config, "--out", "again") == 0

    assert equal(short[1], tmp_path / "again")
    assert facts(short[1])["digest"] == facts(tmp_path / "again")["digest"]
    assert pretrain("--config", config) == 0
    assert "already trained" in capsys.readouterr().out


def test_a_finished_run_goes_on_to_a_later_end_as_if_it_had_had_it(short, tmp_path):
    """At a constant rate: the weights and rows of four steps in one go."""
    given, out = short
    shutil.copytree(out, tmp_path / "longer")

    for run in ("longer", "straight"):
        assert pretrain(*given, "--out", tmp_path / run, "--max-steps", 4) == 0

    assert equal(tmp_path / "longer", tmp_path / "straight")
    assert facts(tmp_path / "longer")["steps"] == 4
    assert "lengthened_at" not in facts(tmp_path / "longer")
    rows = [(tmp_path / run / "log.csv").read_text() for run in ("longer", "straight")]
    assert [line.split(",")[:3] for line in rows[0].splitlines()] == [
        line.split(",")[:3] for line in rows[1].splitlines()
    ]
    assert pretrain("--config", tmp_path / "longer" / "config.yaml") == 0  # of four steps


def test_other_rates_so_far_are_said_and_recorded(small_build, tmp_path, capsys, caplog):
    """The default schedule is as long as the run. A shorter or another run is refused."""
    given = ["--shards", small_build, *TINY, "--out", tmp_path / "run"]
    given += ["--log-steps", 20, "--max-steps"]
    assert pretrain(*given, 1) == 0

    with caplog.at_level("INFO", "fusiontrain"):
        assert pretrain(*given, 2) == 0

    assert "going on from step 1 to 2 steps; the rates of schedule cosine so far" in caplog.text
    assert facts(tmp_path / "run")["lengthened_at"] == [1]
    assert (tmp_path / "run" / "states" / "step-00000002").is_dir()
    rows = (tmp_path / "run" / "log.csv").read_text().splitlines()[1:]
    assert [row.split(",")[0] for row in rows] == ["1", "2"]  # the first step and the last
    before = (tmp_path / "run" / "model.safetensors").read_bytes()
    capsys.readouterr()
    assert pretrain(*given, 1) == 2
    assert "run already has 2 steps: give --max-steps above 2, or --out" in capsys.readouterr().err
    assert pretrain(*given, 3, "--batch-size", 3) == 2
    assert "another run: --max-steps 2 there, 3 here; --batch-size 2 there, 3 here" in (
        capsys.readouterr().err
    )
    shutil.rmtree(tmp_path / "run" / "states")  # as runs of before left none
    assert pretrain(*given, 3) == 2
    assert "do: fusiontrain finetune --weights" in capsys.readouterr().err
    assert before == (tmp_path / "run" / "model.safetensors").read_bytes()


def run_of(shards="a", **changes):
    return {"config": TrainConfig(**changes).as_data(), "manifests": [shards], "shares": ["1"]}


@pytest.mark.parametrize(
    ("held", "now", "words"),
    [
        (run_of(), run_of("b"), "other: `shards`\n"),
        (run_of(), run_of(loss="l1"), "other: `loss` relative_l1 there, l1 here\n"),
        (run_of(initial="a" * 64), run_of(initial="b" * 64), "`weights` aaaaaaaa there, bbbbbbbb"),
        (run_of(), run_of() | {"stream": True}, "other: `stream`"),
        ({}, run_of(), r"other \(other shards, options or version\)"),
        (
            run_of(max_steps=9),
            run_of(max_steps=5),
            "^r already has 5 steps: give `max_steps` above 5, or `out` another folder$",
        ),
        (run_of(), run_of(max_minutes=2.0), "has 3.1 min: give `max_minutes` above 3.1,"),
        (
            run_of(),
            run_of(max_minutes=2.0, max_steps=5),
            "has 3.1 min and 5 steps: give `max_minutes` above 3.1 and `max_steps` above 5,",
        ),
    ],
)
def test_what_differs_is_named(held, now, words):
    with pytest.raises(TrainingError, match=words):
        refuse_other_run("other", held, now, out=Path("r"), steps=5, seconds=182.0)


@pytest.mark.parametrize("ends", [{"max_steps": 6}, {"max_steps": 99, "max_minutes": 3.1}])
def test_an_end_beyond_what_was_trained_is_no_other_run(ends):
    refuse_other_run(
        "x", run_of(max_steps=50), run_of(**ends), out=Path("r"), steps=5, seconds=182.0
    )


@pytest.mark.parametrize(
    ("schedule", "step", "exact"),
    [
        ("constant", 99, True),
        ("cosine", 0, True),
        ("cosine", 1, False),
        ("steps", 10, False),
        ("linear", 10, False),
        ("wsd", 81, True),  # the last rate was that of step 80, where it begins to cool down
        ("wsd", 82, False),
    ],
)
def test_where_a_longer_run_is_exact(schedule, step, exact):
    """wsd cools down in the last fifth of its 100 steps."""
    held = TrainConfig(schedule=schedule, max_steps=100).as_data()
    longer = TrainConfig(schedule=schedule, max_steps=200)

    assert length_note(held, longer, step)[1] is exact
    assert length_note(longer.as_data(), longer, step) is None
