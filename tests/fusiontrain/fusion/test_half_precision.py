"""bf16: refused where it changes a scene by more than its limit."""

import pytest
import torch

from fusiontrain.errors import SceneError
from fusiontrain.fusion.half_precision import check_half_precision
from fusiontrain.fusion.network_fuser import scene_statistics
from fusiontrain.fusion.sensor_model import SensorModel
from fusiontrain.scenes.scene import Scene


class RoundedWhereAllowed(torch.nn.Module):
    """The MS repeated on PAN's grid; off by `error` DN, up and down, under autocast."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def forward(self, batch):
        image = batch.ms.repeat_interleave(4, -2).repeat_interleave(4, -1)
        if not torch.is_autocast_enabled("cpu"):
            return image
        sign = torch.ones_like(image)
        sign[..., ::2] = -1
        return image + self.error * sign


def checked(error, *, brightest):
    rng = torch.Generator().manual_seed(0)
    ms, pan = torch.rand(3, 24, 24, generator=rng), torch.rand(1, 96, 96, generator=rng)
    scene = Scene(name="x", ms=ms * brightest, pan=pan * brightest)
    model = SensorModel(mtf=torch.full((3,), 0.3), softness=torch.full((3,), 0.3))
    check_half_precision(
        scene,
        RoundedWhereAllowed(error),
        model,
        scene_statistics(scene, model),
        halo=8,
        device=torch.device("cpu"),
    )


@pytest.mark.parametrize(("error", "brightest"), [(0.09, 2047), (0.011, 255), (2.8, 65535)])
def test_a_tenth_of_a_dn_of_11_bits_passes(error, brightest):
    """8 bits are 8 times coarser, 16 bits 32 times finer."""
    checked(error, brightest=brightest)


@pytest.mark.parametrize(("error", "brightest"), [(0.11, 2047), (0.02, 255), (4.0, 65535)])
def test_more_is_refused(error, brightest):
    with pytest.raises(SceneError, match="`precision=bf16` changes this scene"):
        checked(error, brightest=brightest)
