"""The shipped default in tables: one name, two files."""

from dataclasses import replace

import torch

from fusiontrain.evaluation.contenders import load_networks
from fusiontrain.evaluation.protocols import full, reduced
from fusiontrain.fusion.make_fuser import make_fuser
from fusiontrain.fusion.memory_plan import make_plan
from fusiontrain.fusion.options import FusionOptions
from fusiontrain.fusion.sensor_identity import sensor_model_for
from fusiontrain.fusion.window_loop import assemble
from tests.support.displaced_pairs import displaced_pair


def test_walds_protocol_scores_the_target_sensor_and_full_resolution_the_scene():
    """At full resolution as `fuse` does in the MS's frame, but for the bands' own shifts."""
    scene, options = displaced_pair(), FusionOptions(frame="ms")
    (default,), (sensor,) = (list(load_networks([name])) for name in ("default", "default-sensor"))
    lower, whole = reduced(scene), full(scene)

    with torch.inference_mode():
        torch.testing.assert_close(sensor.fuse(lower), default.fuse(lower))
        fuser = make_fuser(options)
        model, _ = sensor_model_for(scene, options, blind=False, target=fuser.target)
        model = replace(model, band_shifts=None)
        expected = assemble(
            scene, fuser.fuse(scene, model, make_plan(scene, fuser, memory=options.memory))
        )
        found = default.fuse(whole)

    assert (found - expected).abs().max() < 1
    assert "by Wald's protocol default-sensor" in default.description
