"""`fuse --adapt`: a network that learns from the scene itself, and is kept only if that helps."""

import json
from dataclasses import replace

import numpy as np
import pytest
import rasterio
import torch
from click.testing import CliRunner
from rasterio.transform import Affine

from fusiontrain.api import pansharpen
from fusiontrain.cli import main
from fusiontrain.fusion.make_fuser import make_network_fuser
from fusiontrain.fusion.options import AdaptationBudget, FusionOptions
from fusiontrain.fusion.sensor_model import SensorModel
from fusiontrain.imaging.filters import blur
from fusiontrain.rio_plugin import fuse as rio_fuse
from fusiontrain.scenes.scene import Scene
from fusiontrain.training import adaptation
from fusiontrain.training.adaptation import adapt
from tests.support.geotiffs import write_pair

GRID = Affine(0.5, 0, 400_000, 0, -0.5, 4_800_000)
SIDE = 512  # PAN pixels


def arrays():
    """PAN (1, H, W) and MS (3, h, w), DN: a natural spectrum, two materials."""
    rng = torch.Generator().manual_seed(1)
    noise = torch.randn(1, 2, SIDE, SIDE, generator=rng)
    fine = sum(blur(noise, torch.full((1, 2), s)) * s for s in (1.0, 3.0, 9.0)) * 120
    light, kind = (fine - fine.amin((-2, -1), keepdim=True) + 100)[0]
    bands = torch.stack([light, light * 0.6 + kind * 0.4, kind]).clamp(0, 60_000)
    ms = torch.nn.functional.avg_pool2d(bands[None], 4)[0]
    return bands.mean(0, keepdim=True).round().numpy(), ms.round().numpy()


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    return write_pair(tmp_path_factory.mktemp("pair"), *arrays(), photometric="minisblack")


def read(path):
    with rasterio.open(path) as file:
        return file.read(), file.tags()


def test_what_helps_is_kept_said_tagged_and_reported(pair, weights, tmp_path, capsys):
    """Command, rio and Python give identical pixels, which differ from those without."""
    how = ["--weights", str(weights), "--adapt", "30steps"]
    out, report, other = tmp_path / "a.tif", tmp_path / "a.json", tmp_path / "b.tif"

    assert 0 == main(["fuse", *pair, str(out), *how, "--json", str(report)])
    said = capsys.readouterr().out
    assert 0 == CliRunner().invoke(rio_fuse, [*pair, str(other), *how, "-q"]).exit_code
    python = pansharpen(*pair, weights=weights, adapt="30steps")
    plain = pansharpen(*pair, weights=weights)

    given = json.loads(report.read_text())
    found = given["adaptation"]
    assert (found["kept"], found["steps"]) == (True, 30)
    assert found["ergas"][1] < found["ergas"][0]
    assert found["sam"][1] <= found["sam"][0]
    assert given["seconds"]["adapting"] > 0
    pixels, tags = read(out)
    assert "adapted to the scene in 30 steps" in tags["PANPRIOR_ADAPTATION"]
    assert tags["PANPRIOR_ADAPTATION"] in said
    np.testing.assert_array_equal(pixels, read(other)[0])
    np.testing.assert_array_equal(pixels, python)
    assert (pixels != plain).any()


def scene():
    pan, ms = (torch.from_numpy(image) for image in arrays())
    given = torch.full((3,), 0.3)
    return Scene(name="x", ms=ms, pan=pan), SensorModel(mtf=given, softness=given)


def test_what_does_not_help_is_left_out(weights, monkeypatch):
    """Steps so long that they ruin it: the network is the one that came, and this is said."""
    rates = adaptation._config
    monkeypatch.setattr(adaptation, "_config", lambda n: replace(rates(n), learning_rate=3.0))
    fuser = make_network_fuser(FusionOptions(weights=weights))

    after, found = adapt(fuser, *scene(), AdaptationBudget(steps=5))

    assert not found.kept
    assert after is fuser
    assert "the network stays as it was" in str(found)


def test_pixels_that_judge_do_not_teach(weights):
    """Other ground in the last quarter: the same network comes of it."""
    ground, given = scene()
    fuser = make_network_fuser(FusionOptions(weights=weights))
    cut = SIDE * 3 // 4
    other = replace(ground, ms=ground.ms.clone(), pan=ground.pan.clone())
    other.pan[:, cut:] = ground.pan[:, cut:].flip(-1)
    other.ms[:, cut // 4 :] = ground.ms[:, cut // 4 :].flip(-1)

    tuned = [adaptation._split(adaptation._window_case(one, given))[0] for one in (ground, other)]

    assert torch.equal(tuned[0].truth, tuned[1].truth)
    assert torch.equal(tuned[0].scene.pan, tuned[1].scene.pan)
    assert torch.equal(tuned[0].scene.ms, tuned[1].scene.ms)
    before = {name: value.clone() for name, value in fuser.net.named_parameters()}
    adapt(fuser, ground, given, AdaptationBudget(steps=5))
    assert all(torch.equal(before[name], value) for name, value in fuser.net.named_parameters())


def test_the_lesson_has_the_softness_of_its_own_truth(weights):
    """The MS is that truth; how crisp the picture is wanted says nothing of it."""
    ground, given = scene()
    wanted = replace(given, softness=given.softness * 3, ms_softness=0.17)

    lesson = adaptation._window_case(ground, wanted)

    assert [0.17] * 3 == pytest.approx(lesson.sensor_model.softness.tolist())


def test_a_scene_too_small_is_fused_all_the_same(weights):
    """The reason is said."""
    ground, given = scene()
    small = replace(ground, ms=ground.ms[:, :24, :24], pan=ground.pan[:, :96, :96])
    fuser = make_network_fuser(FusionOptions(weights=weights))

    after, found = adapt(fuser, small, given, AdaptationBudget(seconds=1))

    assert after is fuser
    assert str(found).startswith("not adapted: ")
    assert "MS pixels a side" in str(found)


@pytest.mark.parametrize("asked", ["0", "-3", "nan", "soon", "0steps", "1.5steps", "9999steps"])
def test_impossible_times_are_refused(pair, tmp_path, capsys, asked):
    arguments = [*map(str, pair), f"{tmp_path}/f.tif", f"--adapt={asked}"]

    assert 2 == main(["fuse", *arguments])
    assert "--adapt is seconds" in capsys.readouterr().err


def test_methods_without_weights_adapt_nothing(pair, tmp_path, capsys):
    arguments = [*map(str, pair), f"{tmp_path}/f.tif", "--method", "gsa", "--adapt", "5"]

    assert 2 == main(["fuse", *arguments])
    assert "--adapt tunes a network" in capsys.readouterr().err


def test_reflectance_is_learnt_from_as_dn_are(weights):
    """Network and loss have least spreads in DN."""
    in_dn, model = scene()
    fuser = make_network_fuser(FusionOptions(weights=weights))
    of_dn = adapt(fuser, in_dn, model, AdaptationBudget(steps=6))[1]
    scaled = replace(in_dn, ms=in_dn.ms * 1e-6, pan=in_dn.pan * 1e-6)

    _, result = adapt(fuser, scaled, model, AdaptationBudget(steps=6))

    assert of_dn.ergas[1] < of_dn.ergas[0]
    assert of_dn.ergas == pytest.approx(result.ergas, rel=1e-3)
