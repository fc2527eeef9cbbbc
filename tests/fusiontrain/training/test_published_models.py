"""Published forms by the commands: shards in, weights out, a scene fused."""

import csv

import pytest
import rasterio

from fusiontrain.cli import main
from fusiontrain.models.checkpoints import load_checkpoint
from fusiontrain.models.registry import MODELS

# One of each family that trains on a CPU in seconds; a Mamba takes over a minute for 40 steps.
IN_COMMANDS = (
    "pnn",
    *(pytest.param(name, marks=pytest.mark.slow) for name in ("gppnn", "panformer")),
)


@pytest.fixture(scope="module")
def three_bands(photos, tmp_path_factory, small_build_of):
    """Shards of one band count, which is no entry's default."""
    from simgen.building.build import run_build

    out = tmp_path_factory.mktemp("build") / "shards"
    run_build(small_build_of("folder", photos, out, bands=(3,)), workers=1)
    return out


@pytest.mark.parametrize("model", IN_COMMANDS)
def test_it_trains_reloads_and_fuses(model, three_bands, odd_pair, tmp_path):
    """The band count comes from the shards, and is in the checkpoint."""
    run, fused = tmp_path / "run", tmp_path / "fused.tif"
    train = ["pretrain", "--model", model, "--shards", str(three_bands), "--out", str(run)]
    train += ["--crop", "16", "--batch-size", "2", "--max-steps", "40"]

    assert 0 == main(train)
    net, info = load_checkpoint(run / "model.safetensors")
    assert 0 == main(
        ["fuse", *odd_pair(3), str(fused), "--weights", str(run / "model.safetensors")]
    )

    assert {**MODELS[model].sizes, "bands": 3} == info.sizes
    assert 3 == net.bands
    with (run / "log.csv").open() as file:
        losses = {int(row["step"]): float(row["loss"]) for row in csv.DictReader(file)}
    assert losses[40] < losses[20]  # the first step's row is of one batch, no mean
    with rasterio.open(fused) as file:
        assert (3, 148, 92) == (file.count, *file.shape)


def test_shards_of_several_band_counts_are_refused(small_build, tmp_path, capsys):
    """Which there are, and what to do."""
    train = ["pretrain", "--model", "pnn", "--shards", str(small_build)]

    assert 2 == main([*train, "--out", str(tmp_path / "run"), "--crop", "32"])

    said = capsys.readouterr().err
    assert "pnn is built for one band count; the shards have 3, 4" in said
    assert "train an any-band model" in said
