"""Targets: weights state theirs; of the scene the result is crisp and its bands in one place."""

import numpy as np
import pytest
import torch

from fusiontrain.errors import SceneError
from fusiontrain.fusion.make_fuser import make_fuser
from fusiontrain.fusion.options import AdaptationBudget, FusionOptions
from fusiontrain.fusion.output_frame import in_output_frame
from fusiontrain.fusion.sensor_identity import sensor_model_for
from fusiontrain.fusion.sensor_model import CRISP
from fusiontrain.imaging.tiling import Box
from fusiontrain.models.checkpoints import CheckpointInfo, load_checkpoint, save_checkpoint
from fusiontrain.models.pretrained_weights import find_weights
from fusiontrain.scenes.scene import Scene
from shards.manifest import file_sha256
from tests.support.displaced_pairs import displaced_pair
from tests.support.networks import random_network


def weights_of(path, target=None):
    """A small random network, whose file states this target."""
    sizes = {"width": 8, "blocks": 2}
    training = {} if target is None else {"config": {"target": target}}
    info = CheckpointInfo(model="anyband", sizes=sizes, training=training)
    save_checkpoint(path, random_network(**sizes), info)
    return path


def model_of(scene, **options):
    options = FusionOptions(**options)
    fuser = make_fuser(options)
    return sensor_model_for(scene, options, blind=fuser.blind, target=fuser.target)[0]


@pytest.mark.parametrize("target", [None, "sensor", "scene"])
def test_weights_state_their_target(tmp_path, target):
    """Those of before there were two give the sensor's."""
    info = load_checkpoint(weights_of(tmp_path / "w.safetensors", target))[1]

    assert (target or "sensor") == info.target


def test_the_shipped_files_are_found_by_target():
    for target in ("scene", "sensor"):
        fuser = make_fuser(FusionOptions(target=target))
        assert target == fuser.target == fuser.tags["PANPRIOR_TARGET"]
        assert file_sha256(find_weights(None, target)) == fuser.digest
    assert "scene" == make_fuser(FusionOptions()).target
    assert "sensor" == make_fuser(FusionOptions(adapt=AdaptationBudget(steps=1))).target
    assert make_fuser(FusionOptions(method="gsa")).target is None


def test_the_scene_is_crisp_unless_a_softness_is_given(tmp_path):
    """Of the target sensor it is estimated on the MS."""
    scene, path = displaced_pair(), weights_of(tmp_path / "w.safetensors", "scene")
    other = weights_of(tmp_path / "other.safetensors")

    assert CRISP == pytest.approx(float(model_of(scene, weights=path).softness[0]))
    assert 0.5 == pytest.approx(float(model_of(scene, weights=path, softness=0.5).softness[0]))
    assert CRISP != pytest.approx(float(model_of(scene, weights=other).softness[0]))


def test_contradictions_are_refused(tmp_path):
    path = weights_of(tmp_path / "w.safetensors", "scene")
    with pytest.raises(SceneError, match=r"w\.safetensors gives the target scene, not sensor"):
        make_fuser(FusionOptions(weights=path, target="sensor"))
    with pytest.raises(SceneError, match="`adapt` tunes by Wald's protocol"):
        FusionOptions(target="scene", adapt=AdaptationBudget(steps=1))
    with pytest.raises(SceneError, match="`method=GSA` is none"):
        FusionOptions(target="scene", method="gsa")
    with pytest.raises(SceneError, match="`target` is scene or sensor; got 'both'"):
        FusionOptions(target="both")
    with pytest.raises(SceneError, match="`frame` is pan or ms; got 'map'"):
        FusionOptions(frame="map")


def test_bands_of_the_scene_are_moved_to_one_place(tmp_path):
    """Of the target sensor, or without registration, they stay where they are."""
    whole = displaced_pair()
    ms = torch.cat([whole.ms[:3], displaced_pair(0.9, -0.4).ms[3:]])
    scene = Scene(name="apart", ms=ms, pan=whole.pan)
    path = weights_of(tmp_path / "scene.safetensors", "scene")

    model = model_of(scene, weights=path)
    assert model.band_shifts is not None
    total = torch.tensor(model.shift) + model.band_shifts
    torch.testing.assert_close(total[3], torch.tensor([0.9, -0.4]).double(), atol=0.1, rtol=0)
    torch.testing.assert_close(total[:3], torch.zeros(3, 2).double(), atol=0.1, rtol=0)
    moved = in_output_frame(scene, model)[0].read(Box(top=0, left=0, bottom=64, right=64)).ms
    inner = np.s_[3, 8:-8, 8:-8]
    assert (moved - whole.ms)[inner].std() < 0.2 * (scene.ms - whole.ms)[inner].std()
    assert model_of(scene, weights=path, register=False).band_shifts is None
    assert model_of(scene, weights=weights_of(tmp_path / "w.safetensors")).band_shifts is None
