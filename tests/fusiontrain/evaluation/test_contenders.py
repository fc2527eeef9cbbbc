"""The shipped default in tables: one name, two files."""

import torch

from fusiontrain.evaluation.contenders import load_networks
from fusiontrain.evaluation.protocols import full, reduced
from fusiontrain.fusion.make_fuser import make_network_fuser
from fusiontrain.fusion.options import FusionOptions
from fusiontrain.fusion.sensor_model import CRISP
from fusiontrain.imaging.pan_batch import PanBatch
from fusiontrain.imaging.shift_estimation import shift_image
from tests.support.displaced_pairs import displaced_pair


def test_walds_protocol_scores_the_target_sensor_and_full_resolution_the_scene():
    scene = displaced_pair()
    (default,), (sensor,) = (list(load_networks([name])) for name in ("default", "default-sensor"))
    lower, whole = reduced(scene), full(scene)

    with torch.inference_mode():
        torch.testing.assert_close(sensor.fuse(lower), default.fuse(lower))
        expected = make_network_fuser(FusionOptions()).net(
            PanBatch(
                ms=whole.scene.ms[None],
                pan=shift_image(whole.scene.pan, whole.sensor_model.shift)[None],
                ratio=4,
                mtf=whole.sensor_model.mtf[None],
                softness=torch.full((1, 4), CRISP),
            )
        )[0]
        found = default.fuse(whole)

    assert (found - expected).abs().max() < 1
    assert "by Wald's protocol default-sensor" in default.description
