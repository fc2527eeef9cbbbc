"""Weights given away: a file that fuse reads, a card, the hub's conventions on a local folder."""

import json

import pytest
import torch

from fusiontrain.cli import main
from fusiontrain.errors import CheckpointError
from fusiontrain.imaging.pan_batch import PanBatch
from fusiontrain.models.checkpoints import CheckpointInfo, load_checkpoint, save_checkpoint
from fusiontrain.models.registry import build_model

TRAINING = {
    "recipe": {"name": "pretrain", "sha256": "ab" * 32},
    "manifests": ["cd" * 32],
    "steps": 7,
    "loss": 0.5,
    "weights": "averaged",
    "validation": {"held_loss": 0.25, "ergas x": 1.5},
    "best": {"by": "held_loss", "value": 0.25, "step": 5},
}


@pytest.fixture
def run(tmp_path):
    torch.manual_seed(0)
    info = CheckpointInfo(model="anyband", sizes={"width": 8, "blocks": 1}, training=TRAINING)
    folder = tmp_path / "run"
    folder.mkdir()
    save_checkpoint(folder / "model.safetensors", build_model("anyband", **info.sizes), info)
    return folder


def batch():
    rng = torch.Generator().manual_seed(1)
    ms, pan = (torch.rand(1, c, s, s, generator=rng) * 900 for c, s in ((3, 8), (1, 32)))
    half = torch.full((1, 3), 0.5)
    return PanBatch(ms=ms, pan=pan, ratio=4, mtf=half, softness=half)


def rows_of(card):
    """Cells of all tables' lines."""
    lines = [line for line in card.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_a_package_is_weights_and_a_card(run, tmp_path):
    """The weights load as any others; the card tells what the file tells."""
    out = tmp_path / "out"

    assert 0 == main(["publish", str(run), str(out), "--license", "mit"])

    assert (
        load_checkpoint(run / "model.safetensors")[1]
        == load_checkpoint(out / "model.safetensors")[1]
    )
    assert {"model.safetensors", "README.md", "config.json", "mlm.json"} == {
        p.name for p in out.iterdir()
    }
    card = (out / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: panprior\n")
    assert "license: mit" in card
    for fact in ("ab" * 32, "cd" * 32, "go by held_loss, at step 5"):
        assert fact in card
    assert ["ergas x", "1.5"] in rows_of(card)
    assert {"width": 8, "blocks": 1} == json.loads((out / "config.json").read_text())["sizes"]


def test_the_hubs_conventions_on_a_local_folder(run, tmp_path, monkeypatch):
    """from_pretrained, save_pretrained and back: the same network, the same file, no network."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    hub = pytest.importorskip("fusiontrain.hub", reason="needs huggingface_hub")
    assert 0 == main(["publish", str(run), str(tmp_path / "out")])

    model = hub.Pansharpener.from_pretrained(tmp_path / "out")
    model.save_pretrained(tmp_path / "again")
    reference = hub.Pansharpener.from_pretrained(str(tmp_path / "again"))

    with torch.no_grad():
        expected = load_checkpoint(run / "model.safetensors")[0](batch())
        assert torch.equal(expected, model(batch()))
        assert torch.equal(expected, reference(batch()))
    assert TRAINING == reference.info.training
    for name in ("model.safetensors", "README.md", "config.json", "mlm.json"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_a_folder_of_someone_elses_weights_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    hub = pytest.importorskip("fusiontrain.hub", reason="needs huggingface_hub")
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"\x80pickle")

    with pytest.raises(CheckpointError, match="is a pickle"):
        hub.Pansharpener.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (["--best"], "had nothing to validate on"),
        (["--license", "MIT license"], "--license is a word"),
    ],
)
def test_what_cannot_be_published_is_one_line(run, tmp_path, flags, word, capsys):
    assert 2 == main(["publish", str(run), str(tmp_path / "out"), *flags])
    assert word in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_nothing_is_overwritten(run, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("x")

    assert 2 == main(["publish", str(run), str(tmp_path / "out")])
    assert "is not empty" in capsys.readouterr().err


def results(path, *, networks=("network",)):
    """A benchmark's results.json of one scene, in the form that `benchmark` writes."""
    figures = {
        "EXP": ({"ERGAS": 4.0, "SAM": 3.0, "Q2n": 0.5}, {"HQNR": 0.9}),
        "GSA soft": ({"ERGAS": 2.0, "SAM": 3.5, "Q2n": 0.8}, {"HQNR": 0.8}),
        **{name: ({"ERGAS": 1.5, "SAM": 3.3, "Q2n": 0.9}, {"HQNR": 0.95}) for name in networks},
    }
    rows = [
        {
            "scene": "here",
            "sensor": "IKONOS",
            "protocol": protocol,
            "method": method,
            "indices": indices,
            "origin": "measured here",
            "seconds": 1.0,
        }
        for method, both in figures.items()
        for protocol, indices in zip(("reduced", "full"), both, strict=True)
    ]
    path.write_text(json.dumps({"version": 1, "rows": rows}))
    return path


def test_a_card_tells_what_a_benchmark_measured(run, tmp_path):
    """Each scene beside the method that set the bar there; then the text that was given."""
    about, out = tmp_path / "about.md", tmp_path / "out"
    about.write_text("## Limits\n\nClouds.\n")
    measured = results(tmp_path / "results.json")

    code = main(["publish", str(run), str(out), "--results", str(measured), "--about", str(about)])

    assert 0 == code
    card = (out / "README.md").read_text()
    values = ["**1.500** / 2.000 GSA soft", "3.300 / 3.000 EXP", "**0.900** / 0.800 GSA soft"]
    assert ["here", *values, "**0.950** / 0.900 EXP"] in rows_of(card)
    assert any(["ERGAS (network / best)", "0.750", "1 of 1"] == row[2:5] for row in rows_of(card))
    assert card.endswith("## Limits\n\nClouds.\n")


@pytest.mark.parametrize(
    ("text", "words"),
    [("{}", "no results.json"), ("[1", "no results.json"), ('{"rows": []}', "one network")],
)
def test_other_results_are_one_line(run, tmp_path, capsys, text, words):
    """Nothing is written."""
    path, out = tmp_path / "results.json", tmp_path / "out"
    path.write_text(text)

    assert 2 == main(["publish", str(run), str(out), "--results", str(path)])
    assert words in capsys.readouterr().err
    assert not out.exists()
