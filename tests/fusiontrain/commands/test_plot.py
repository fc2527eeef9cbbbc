"""`fusiontrain plot` and `compare`, on folders as runs leave them."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from fusiontrain.cli import main
from fusiontrain.training.config import TrainConfig

HEAD = "step,loss,learning_rate,gradient_norm,crops_per_second,data_wait,step_loss,skipped\n"


def write_run(folder, losses, *, every=10, finished=True, validation=(), speed=20.0, **config):
    folder.mkdir(parents=True)
    rows = [
        f"{every * (i + 1)},{loss},1e-3,0.2,{speed + i},0.01,{loss * 1.1},0"
        for i, loss in enumerate(losses)
    ]
    (folder / "log.csv").write_text(HEAD + "\n".join(rows) + "\n")
    if validation:
        text = "step,held_loss,held_ergas\n"
        text += "".join(f"{step},{loss},{9 * loss}\n" for step, loss in validation)
        (folder / "validation.csv").write_text(text)
    facts = {"config": TrainConfig(**config).as_data(), "recipe": {"name": "pretrain"}}
    if finished:
        facts |= {"steps": every * len(losses), "seconds": 600, "loss": losses[-1]}
    (folder / "run.json").write_text(json.dumps(facts))
    return folder


@pytest.fixture
def runs(tmp_path):
    return [
        write_run(
            tmp_path / "one" / "a",
            [0.5, 0.3, 0.31],
            validation=[(10, 0.4), (20, 0.2), (30, 0.25)],
        ),
        write_run(tmp_path / "two" / "a", [0.6, 0.5], finished=False, batch_size=8, ema_decay=0.9),
        write_run(tmp_path / "b", [0.7, 0.6], speed=40.0, max_minutes=2.0),
    ]


def cells(line):
    return re.split(r"\s{2,}", line)


def test_a_table_of_runs(runs, capsys):
    """Last and lowest figures, medians, and the options that are not the same in all."""
    assert main(["compare", *map(str, runs)]) == 0
    head, *lines = map(cells, capsys.readouterr().out.splitlines())

    first, second, third = (dict(zip(head, line, strict=True)) for line in lines)
    assert (first["run"], second["run"], third["run"]) == ("one/a", "two/a", "b")
    assert (first["steps"], second["steps"]) == ("30", "20, unfinished")
    assert (first["loss"], first["best loss"], first["crops/s"]) == ("0.31", "0.3 at 20", "21")
    assert (first["held_loss"], first["best held_ergas"]) == ("0.25", "1.8 at 20")
    assert second["held_loss"] == "-"
    assert "scenes_ergas_ratio" not in first
    assert {n: second[n] for n in ("batch_size", "ema_decay", "max_minutes")} == {
        "batch_size": "8", "ema_decay": "0.9", "max_minutes": "-"
    }  # fmt: skip
    assert third["max_minutes"] == "2"
    assert "learning_rate" not in head


def test_runs_as_json(runs, capsys):
    assert main(["compare", "--json", *map(str, runs)]) == 0
    first, second, _ = json.loads(capsys.readouterr().out)

    assert first["validation"]["held_loss"] == {"last": 0.25, "best": 0.2, "step": 20}
    assert (second["finished"], second["config"]["batch_size"]) == (False, 8)
    assert second["config"]["learning_rate"] == TrainConfig().learning_rate


def test_a_picture_of_one_run_and_of_several(runs, tmp_path, capsys, monkeypatch):
    """Beside the run, or here; a line of each run's colour is in each panel."""
    monkeypatch.chdir(tmp_path)
    assert main(["plot", str(runs[0])]) == 0
    assert main(["plot", *map(str, runs)]) == 0
    assert main(["compare", str(runs[2]), "--out", "c.svg"]) == 0

    alone, several = (
        Image.open(path).convert("RGB") for path in (runs[0] / "plot.png", "plot.png")
    )
    blue, red, green = (0, 114, 178), (213, 94, 0), (0, 158, 115)  # Okabe and Ito's
    assert {colour: _drawn(alone, colour) for colour in (blue, red)} == {blue: True, red: False}
    assert all(_drawn(several, colour) for colour in (blue, red, green))
    assert (tmp_path / "c.svg").read_text().startswith("<?xml")
    assert "drew plot.png" in capsys.readouterr().out


def _drawn(image, colour):
    return int((np.asarray(image) == colour).all(-1).sum()) > 50


@pytest.mark.parametrize("command", ["plot", "compare"])
@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["{folder}"], "is no run: it has no log.csv; expected a folder that pretrain"),
        (["{run}", "{run}"], "one run is given twice"),
        (["{run}", "--out", "x.doc"], "--out ends in .png, .pdf, .svg; got x.doc"),
        ([], "the following arguments are required"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(command, given, words, tmp_path, capsys):
    run = write_run(tmp_path / "run", [0.5])
    argv = [text.format(folder=tmp_path, run=run) for text in given]
    try:
        code = main([command, *argv])
    except SystemExit as stopped:
        code = stopped.code

    assert code == 2
    assert words in capsys.readouterr().err


def test_a_run_without_a_row_is_not_drawn(runs, tmp_path, capsys):
    """One line and no picture, also beside runs that have rows."""
    begun = write_run(tmp_path / "begun", [], finished=False)
    for given in ([begun], [runs[0], begun]):
        assert main(["plot", *map(str, given), "--out", str(tmp_path / "p.png")]) == 2
        said = capsys.readouterr().err.strip()
        assert said.endswith(f"{begun} has no row in log.csv yet")
        assert "\n" not in said
    assert not (tmp_path / "p.png").exists()


def test_a_damaged_folder_is_read_as_far_as_it_goes_or_named(tmp_path, capsys):
    """Rows without a step are left out; run.json that is none is an error."""
    run = write_run(tmp_path / "run", [0.5, 0.4])
    (run / "log.csv").write_text((run / "log.csv").read_text() + "30,0.3,\nx,,\n40,no")

    assert main(["compare", "--json", str(run)]) == 0
    assert json.loads(capsys.readouterr().out)[0]["loss"] == {"last": 0.3, "best": 0.3, "step": 30}
    (run / "run.json").write_text(json.dumps({"steps": "many", "seconds": 10**400, "recipe": 3}))
    assert main(["compare", "--json", str(run)]) == 0
    assert not json.loads(capsys.readouterr().out)[0]["finished"]
    (run / "run.json").write_text("{")
    assert main(["plot", str(run)]) == 2
    assert f"cannot read the run {run}" in capsys.readouterr().err
