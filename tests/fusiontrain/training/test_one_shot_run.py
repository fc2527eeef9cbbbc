"""`finetune --recipe one_shot` as a run: its files, its config, what it says."""

import csv
import json

import pytest
import torch

from fusiontrain.cli import main
from fusiontrain.models.checkpoints import load_checkpoint
from fusiontrain.training.config import TrainConfig
from fusiontrain.training.one_shot_run import StepRows
from fusiontrain.training.recipes.one_shot import one_shot
from fusiontrain.training.train_step import StepResult
from tests.support.geotiffs import write_pair


def tune(*argv):
    return main(["finetune", *map(str, argv)])


def test_one_shot_leaves_what_a_run_leaves(weights, tmp_path, capsys):
    """log.csv, run.json and a config that starts it again; `compare` reads it as any run."""
    rng = torch.Generator().manual_seed(3)
    pan, ms = (torch.rand(c, n, n, generator=rng) * 900 + 100 for c, n in ((1, 256), (4, 64)))
    (tmp_path / "scene").mkdir()
    write_pair(tmp_path / "scene", pan, ms, name="x")
    given = ["--recipe", "one_shot", "--weights", weights, "--learn-from", tmp_path / "scene"]

    assert (
        tune(*given, "--max-steps", 3, "--batch-size", 1, "--crop", 32, "--out", tmp_path / "a")
        == 0
    )
    said = capsys.readouterr()
    assert tune("--config", tmp_path / "a" / "config.yaml", "--out", tmp_path / "b") == 0

    run = tmp_path / "a"
    assert {p.name for p in run.iterdir()} == {
        "model.safetensors", "log.csv", "run.json", "config.yaml"
    }  # fmt: skip
    facts, (net, info) = (
        json.loads((run / "run.json").read_text()),
        load_checkpoint(run / "model.safetensors"),
    )
    assert info.training == facts
    assert (facts["steps"], facts["scene"], facts["recipe"]["name"]) == (3, "x", "one_shot")
    with (run / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["1", "2", "3"]
    # The rate falls to nothing in a line, from 5e-4 of the recipe.
    rates = [float(row["learning_rate"]) / one_shot().learning_rate for row in rows]
    assert rates == pytest.approx([1, 2 / 3, 1 / 3], rel=1e-8)  # nine digits are written
    assert f"loss {facts['loss']:.4f}" in said.out
    again = load_checkpoint(tmp_path / "b" / "model.safetensors")[0].state_dict()
    assert all(torch.equal(value, again[name]) for name, value in net.state_dict().items())
    capsys.readouterr()
    assert main(["compare", "--json", str(run), str(tmp_path / "b")]) == 0
    assert [one["steps"] for one in json.loads(capsys.readouterr().out)] == [3, 3]


def test_rows_and_lines_of_a_tuning(caplog):
    """A step that was not finite counts as skipped; a line says step, loss and what is left."""
    rows = StepRows(TrainConfig(max_steps=4, batch_size=2))
    rows.begun -= 2
    rows.lines.lines.every = 0.0
    with caplog.at_level("INFO", "fusiontrain"):
        rows(1, StepResult(loss=0.5, norm=2.0, rate=0.1), 0.5)
        rows(2, StepResult(loss=float("nan"), norm=2.0, rate=0.1), 0.5)

    assert [row["skipped"] for row in rows.rows] == [0, 1]
    assert 0 < rows.rows[0]["crops_per_second"] <= 1  # two crops in two seconds or more
    assert "tuning, loss 0.5000: step 1 of 4, 25 %" in caplog.text
