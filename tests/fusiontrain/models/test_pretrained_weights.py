"""The weights that come with the package: whole, small, described, and good where nobody looked."""

import tomllib
from pathlib import Path

import pytest
import rasterio
import torch

from fusiontrain.cli import main
from fusiontrain.evaluation.contenders import classical, network, score
from fusiontrain.evaluation.protocols import full, reduced
from fusiontrain.evaluation.score_image import BORDER
from fusiontrain.metrics import ergas, hqnr, q2n, sam
from fusiontrain.models.checkpoints import load_checkpoint
from fusiontrain.models.pretrained_weights import FOLDER, NAMES, find_weights
from fusiontrain.models.registry import find_model
from fusiontrain.scenes.discovery import find_scenes
from shards.manifest import file_sha256
from tests.support.geotiffs import write_pair
from tests.support.paths import ROOT

ALIGNED = ["--assume-aligned", "-q"]  # scenes of benchmarks have no geotransform
CARD = (FOLDER / "default-sensor.md").read_text()
MOST = {"small": 500_000}  # bytes
MOST |= dict.fromkeys(("default", "default-sensor", "default-open"), 4_000_000)
MOST |= dict.fromkeys(("pannet", "swinir-small"), 2_000_000)
FIELD = ("GSA", "MTF-GLP-FS", "BT-H", "MTF-GLP-HPM-R", "AWLP")  # each plain and soft


@pytest.mark.parametrize("name", NAMES)
def test_they_are_small_and_their_cards_are_theirs(name):
    """The card names the file's own hash, recipe and steps, data, and what it measured."""
    path = find_weights(name)
    info = load_checkpoint(path)[1]
    card = path.with_suffix(".md").read_text()

    assert path.stat().st_size <= MOST[name]
    assert file_sha256(path) in card
    assert find_model(info.model).any_band or info.sizes["bands"] == 4
    assert f"| {info.training['steps']} |" in card
    assert info.training["recipe"]["sha256"] in card
    for section in ("## On scenes it has never seen", "## Trained on", "## Limits"):
        assert section in card


def test_they_are_in_the_package():
    """setuptools packs every file of the folder."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]["fusiontrain"]

    taken = {path for pattern in patterns for path in FOLDER.parent.glob(pattern)}
    kept = {path for path in FOLDER.iterdir() if path.is_file()}
    assert kept
    assert kept <= taken


def test_a_name_is_a_shipped_file_and_a_path_is_a_path(tmp_path, monkeypatch):
    """None is the default; ./default is one's own."""
    monkeypatch.chdir(tmp_path)
    for name in ("small.safetensors", "default"):
        (tmp_path / name).touch()

    assert find_weights() == find_weights("default") == find_weights(Path("default"))
    assert find_weights(None, "sensor") == find_weights("default-sensor")
    assert Path("small.safetensors") == find_weights("small.safetensors")
    assert tmp_path / "default" == find_weights(tmp_path / "default")


def test_without_a_flag_fuse_takes_the_default(tmp_path, capsys):
    """PAN MS OUT, and no more; the output names the weights by their hash."""
    rng = torch.Generator().manual_seed(4)
    pan, ms = (
        torch.rand(bands, side, side, generator=rng) * 900 + 100
        for bands, side in ((1, 96), (5, 24))
    )
    out = tmp_path / "out.tif"

    assert 0 == main(["fuse", *write_pair(tmp_path, pan, ms), str(out)])

    with rasterio.open(out) as file:
        assert (5, 96, 96) == (file.count, file.height, file.width)
        assert file_sha256(find_weights()) == file.tags()["PANPRIOR_WEIGHTS_SHA256"]


@pytest.mark.slow
@pytest.mark.parametrize("scene", ["GF2_ucgan_train3", "QB_dispnet_1"])  # bands are not apart
def test_fuse_gives_the_cards_figures(shared, tmp_path, scene):
    """HQNR of the target sensor is the card's, by the metric alone on the moved MS."""
    folder, out = shared("data/real"), tmp_path / "out.tif"
    pan, ms = (folder / f"{scene}_{kind}.tif" for kind in ("pan", "ms"))
    (row,) = [r for r in CARD.splitlines() if r.startswith(f"| {scene} |")]
    stated = float(row.split("|")[-2].split("/")[0].strip(" *"))
    (entry,) = [entry for entry in find_scenes([folder]) if entry.name == scene]
    case = full(entry.load(), frame="pan")
    sensor = case.scene.sensor

    how = ["--target", "sensor", "--sensor", sensor.name]
    assert 0 == main(["fuse", str(pan), str(ms), str(out), *how, *ALIGNED])

    low, grey = case.scene.ms.float(), case.scene.pan.float()
    with rasterio.open(out) as file:
        fused = torch.from_numpy(file.read().astype("float32"))[:, : grey.shape[1], : grey.shape[2]]
    gains = sensor.gains(len(low))
    value = float(hqnr(fused, low, grey, mtf=gains, convention="aligned"))
    assert stated == pytest.approx(value, abs=0.0011)  # the card's digits, whole DN of the file


@pytest.mark.slow
@pytest.mark.parametrize("name", ["default-sensor", "small"])
@pytest.mark.parametrize(
    "scene", ["IKONOS_grip_1", "SPOT6_liqilei_cropland", "QB_p2sharpen_1", "L8_mmsm_1"]
)
def test_they_beat_the_field_on_sensors_they_have_never_seen(shared, scene, name):
    """ERGAS within 1.02 of the best of ten, and better in most of ERGAS, SAM and Q2n."""
    folder = shared("data/real")
    (entry,) = (one for one in find_scenes([folder]) if one.name == scene)
    case = reduced(entry.load())
    net, info = load_checkpoint(find_weights(name))
    rivals = classical([f"{method}{soft}" for method in FIELD for soft in ("", " soft")])
    ours = network(net, find_model(info.model).halo)

    def indices(fused):
        inner = slice(BORDER, -BORDER)
        pair = case.truth[:, inner, inner], fused[:, inner, inner]
        return (
            float(ergas(*pair, ratio=case.scene.ratio)),
            float(sam(*pair)),
            -float(q2n(*pair)),
        )

    found = [indices(result.fused) for result in score(case, rivals)]
    best = [min(values) for values in zip(*found, strict=True)]
    (mine,) = (indices(result.fused) for result in score(case, [ours]))
    assert mine[0] <= 1.02 * best[0]
    assert 2 <= sum(own < other for own, other in zip(mine, best, strict=True))
