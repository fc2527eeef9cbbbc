"""Where the result lies: on the PAN, or where the MS lies."""

import numpy as np
import pytest
import torch

from fusiontrain.api import pansharpen
from fusiontrain.fusion.moved_scene import MovedScene
from fusiontrain.fusion.output_frame import in_output_frame
from fusiontrain.fusion.sensor_model import SensorModel
from fusiontrain.imaging.tiling import Box
from tests.support.displaced_pairs import displaced_pair, waves


@pytest.mark.parametrize("shift", [(1.3, -0.6), (-2.0, 4.5)])
def test_the_result_lies_where_the_frame_says(shift):
    scene = displaced_pair(*shift)
    truth = {"pan": waves(256), "ms": waves(256, *shift)}
    inner = np.s_[40:-40, 40:-40]
    for frame, other in (("pan", "ms"), ("ms", "pan")):
        fused = pansharpen(scene.pan.numpy(), scene.ms.numpy(), method="glp-fs-soft", frame=frame)
        errors = [
            float((torch.from_numpy(fused[1]) - truth[name])[inner].std())
            for name in (frame, other)
        ]
        assert errors[0] < 0.25 * errors[1]


def test_windows_of_a_shifted_scene_are_the_whole_of_it():
    shifts = (*((0.7, -5.2),) * 3, (0.0, 0.3))
    scene = MovedScene(scene=displaced_pair(0.7, -5.2, side=128), shifts=shifts)
    whole = scene.read(Box(top=0, left=0, bottom=32, right=32))

    part = scene.read(Box(top=9, left=12, bottom=20, right=27))

    torch.testing.assert_close(whole.ms[:, 9:20, 12:27], part.ms)
    torch.testing.assert_close(whole.pan[:, 36:80, 48:108], part.pan)
    assert (scene.bands, scene.ratio, scene.shape, scene.phase) == (4, 4, (32, 32), "aligned")


def test_nothing_is_moved_where_nothing_is_displaced():
    scene, gains = displaced_pair(), torch.full((4,), 0.3)
    for model in (
        SensorModel(mtf=gains, softness=gains, frame="pan"),
        SensorModel(mtf=gains, softness=gains, shift=(1.0, 0.0)),
    ):
        assert (scene, model) == in_output_frame(scene, model)
