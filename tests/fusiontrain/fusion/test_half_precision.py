"""bf16: refused where it changes a scene by more than its limit."""

import json

import numpy as np
import pytest
import rasterio
import torch

from fusiontrain import pansharpen
from fusiontrain.cli import main
from fusiontrain.errors import SceneError
from fusiontrain.fusion.half_precision import check_half_precision
from fusiontrain.fusion.network_fuser import scene_statistics
from fusiontrain.fusion.sensor_model import SensorModel
from fusiontrain.scenes.scene import Scene
from tests.support.geotiffs import write_pair
from tests.support.networks import batch_of, random_network, save_network


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


def network_and_pair(folder, *, std):
    """A network whose last layer is as small as `std`, and files to fuse."""
    sizes = {"width": 8, "blocks": 1}
    net = random_network(std=std, **sizes)
    batch = batch_of(bands=3, h=24, w=24)
    pair = write_pair(folder, batch.pan[0].numpy(), batch.ms[0].numpy(), dtype="float32")
    return save_network(folder / "w.safetensors", net, **sizes), pair


def test_python_takes_it_as_the_command_does(tmp_path, one_thread):
    """The same pixels, which are not float32's, and the same tag; said in the report."""
    weights, pair = network_and_pair(tmp_path, std=1e-3)
    found, reports = {}, {}
    for precision in ("float32", "bf16"):
        by_command, by_python = (tmp_path / f"{precision}-{who}.tif" for who in ("c", "p"))
        report = tmp_path / f"{precision}.json"
        flags = ["--weights", str(weights), "--precision", precision, "--json", str(report), "-q"]
        assert 0 == main(["fuse", *pair, str(by_command), *flags])
        pansharpen(*pair, by_python, weights=weights, precision=precision)
        array = pansharpen(*pair, weights=weights, precision=precision)
        reports[precision] = json.loads(report.read_text())["precision"]
        for path in (by_command, by_python):
            with rasterio.open(path) as file:
                assert file.tags()["PANPRIOR_PRECISION"] == precision
                np.testing.assert_array_equal(file.read(), array)
        found[precision] = array

    assert reports == {"float32": "float32", "bf16": "bf16"}
    assert 0 < np.abs(found["bf16"] - found["float32"]).max() < 1


def test_python_refuses_what_the_command_refuses(tmp_path, one_thread):
    weights, pair = network_and_pair(tmp_path, std=1)
    out = tmp_path / "out.tif"

    with pytest.raises(SceneError, match="`precision=bf16` changes this scene"):
        pansharpen(*pair, out, weights=weights, precision="bf16")
    assert not out.exists()
    with pytest.raises(SceneError, match="of a network's layers; `method=GSA` is none"):
        pansharpen(*pair, method="gsa", precision="bf16")
    with pytest.raises(SceneError, match="`precision` is float32 or bf16; got 'fp16'"):
        pansharpen(*pair, precision="fp16")
