"""Networks from outside the package, as docs/guides/own-network.md has them."""

import re
import sys

import numpy as np
import pytest
import rasterio
import torch

from fusiontrain.cli import main
from fusiontrain.errors import CheckpointError, ShapeError, UnknownModel
from fusiontrain.models import own_network
from fusiontrain.models.checkpoints import load_checkpoint
from fusiontrain.models.registry import build_model, find_asked, find_model
from simgen.building.build import run_build
from tests.support.geotiffs import write_pair
from tests.support.networks import batch_of, save_network
from tests.support.paths import ROOT

GUIDE = ROOT / "docs" / "guides" / "own-network.md"
NAME = "my_module:MyNet"
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with the guide's file; what was imported is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(own_network, "OWN", {})
    monkeypatch.setattr("fusiontrain.models.registry.OWN", own_network.OWN)
    monkeypatch.delitem(sys.modules, "my_module", raising=False)
    (tmp_path / "my_module.py").write_text(_code())
    yield tmp_path
    sys.modules.pop("my_module", None)


def _code():
    return re.search(r"```python[^\n]*\n(.*?)```", GUIDE.read_text(), re.DOTALL)[1]


def scene(folder, name="x"):
    rng = np.random.default_rng(1)
    pan = rng.integers(200, 1500, (1, 256, 256))
    return write_pair(
        folder, pan, pan.reshape(1, 64, 4, 64, 4).mean((2, 4)).repeat(4, 0), name=name
    )


def test_the_guides_network_is_fifteen_lines():
    assert 15 >= len([line for line in _code().splitlines() if line.strip()])


@pytest.mark.slow
def test_the_guides_commands(folder, photos, small_build_of, capsys):
    """Pretrained, tuned, benchmarked and fused with; without --model the weights are refused."""
    run_build(small_build_of("folder", photos, folder / "shards"), workers=1)
    own = ["--model", NAME, "--weights", "run/model.safetensors"]
    pairs = folder / "pairs"
    pairs.mkdir()
    pan, ms = scene(pairs)
    short = ["--max-steps", "2", "--batch-size", "2", "--crop", "32", "--out"]

    codes = [
        main(["pretrain", "--model", NAME, "--shards", "shards", *short, "run"]),
        main(["finetune", *own, "--recipe", "one_shot", "--learn-from", "pairs", *short, "tuned"]),
        main(
            [
                "benchmark",
                "pairs",
                *own,
                "--methods",
                "exp",
                "--protocol",
                "reduced",
                "--out",
                "scores",
            ]
        ),
        main(["fuse", pan, ms, "out.tif", *own, "-q"]),
    ]

    assert [0, 0, 0, 0] == codes
    with rasterio.open("out.tif") as file:
        assert (4, 256, 256) == (file.count, *file.shape)
    assert NAME == load_checkpoint(folder / "tuned" / "model.safetensors")[1].model
    own_network.OWN.clear()
    capsys.readouterr()
    assert 2 == main(["fuse", pan, ms, "other.tif", "--weights", "run/model.safetensors"])
    assert f"give --model {NAME}" in capsys.readouterr().err
    assert not (folder / "other.tif").exists()


def test_finetune_takes_every_models_weights_without_the_flag(tmp_path, small_build, monkeypatch):
    """The recipe's model, anyband, is not asked of the weights."""
    monkeypatch.chdir(tmp_path)
    sizes = {"width": 24, "blocks": 2}
    net = build_model("anyband-small", **sizes)
    path = save_network(tmp_path / "small.safetensors", net, "anyband-small", **sizes)
    short = ["--max-steps", "1", "--batch-size", "2", "--crop", "32", "--tracker", "none"]

    given = ["finetune", "--weights", str(path), "--shards", str(small_build), *short]
    assert 0 == main([*given, "--out", "run"])

    assert "anyband-small" == load_checkpoint(tmp_path / "run" / "model.safetensors")[1].model


def test_weights_alone_import_nothing(folder):
    """A file that names a module is no reason to run it."""
    net = find_asked(NAME).build(bands=4)
    path = save_network(folder / "w.safetensors", net, NAME, bands=4, full_scale=2047)
    own_network.OWN.clear()
    sys.modules.pop("my_module")

    with pytest.raises(CheckpointError, match=NAME):
        load_checkpoint(path)

    assert "my_module" not in sys.modules


def test_it_computes_what_the_module_does(folder):
    """In numbers over full scale; sides that are no multiples of 32 are padded and cut."""
    find_asked(NAME)
    torch.manual_seed(0)
    wrapped = build_model(NAME, bands=4, full_scale=1000).eval()
    batch = batch_of(h=16, w=24)

    with torch.no_grad():
        plain = wrapped.net(batch.ms / 1000, batch.pan / 1000) * 1000
        whole = wrapped(batch)
        odd = wrapped(batch_of(h=9, w=7))

    torch.testing.assert_close(whole, plain)
    assert (1, 4, 36, 28) == tuple(odd.shape)


def test_freeze_tuning_trains_the_last_child(folder):
    assert ("net.last.",) == find_asked(NAME).freeze_tuning_prefixes


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("none_such:Net", "", "cannot import none_such"),
        ("my_module:Other", "", "got nothing of that name"),
        ("my_module:torch", "", "expected a class torch"),
        (
            "my_module:Bad",
            "class Bad(nn.Module):\n    def __init__(self, x): ...",
            "cannot be built",
        ),
        ("my_module:Loud", "raise ValueError('not today')", "ValueError: not today"),
    ],
)
def test_what_is_no_network_is_one_line(folder, capsys, small_build, name, code, said):
    """Exit code 2 and nothing is written."""
    with (folder / "my_module.py").open("a") as file:
        file.write(f"\n{code}\n")

    given = ["pretrain", "--model", name, "--shards", str(small_build), "--out", "run"]
    assert 2 == main([*given, "--max-steps", "1"])

    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
    with pytest.raises(UnknownModel):
        find_model(name)


def test_another_shape_is_said(folder):
    (folder / "my_module.py").write_text(
        "from torch import nn\n\n\nclass MyNet(nn.Module):\n    def forward(self, ms, pan):\n"
        "        return ms\n"
    )
    net = find_asked(NAME).build()

    with pytest.raises(ShapeError, match=r"expected \(1, 4, 64, 64\); got \(1, 4, 16, 16\)"):
        net(batch_of(h=16, w=16))
