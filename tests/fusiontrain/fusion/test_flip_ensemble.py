"""The mean over eight flips: nothing for what is alike in every direction, and no seams."""

import json
from dataclasses import replace

import pytest
import rasterio
import torch
from torch import nn

from fusiontrain.cli import main
from fusiontrain.errors import SceneError
from fusiontrain.fusion.flip_ensemble import FLIPS, FlipEnsemble, turned, turned_back
from fusiontrain.fusion.network_fuser import fuse_windows, scene_statistics
from fusiontrain.fusion.options import FusionOptions
from fusiontrain.fusion.sensor_model import SensorModel
from fusiontrain.fusion.window_loop import assemble
from fusiontrain.imaging.filters import upsample
from fusiontrain.scenes.scene import Scene
from tests.support.geotiffs import write_pair
from tests.support.networks import batch_of, random_network, save_network


class Isotropic(nn.Module):
    """Each MS pixel over its PAN pixels, and PAN beside it."""

    def forward(self, batch):
        up = batch.ms.repeat_interleave(batch.ratio, -2).repeat_interleave(batch.ratio, -1)
        return up + 0.3 * batch.pan


def test_flips_are_eight_and_are_undone():
    image = torch.arange(12.0).reshape(1, 3, 4)

    flipped = [turned(image, flip) for flip in range(FLIPS)]

    assert FLIPS == len({str(x.tolist()) for x in flipped})
    for flip, other in enumerate(flipped):
        assert torch.equal(image, turned_back(other, flip))


@pytest.mark.parametrize(("ratio", "h", "w"), [(4, 8, 10), (3, 7, 9), (2, 5, 6)])
def test_what_is_alike_in_every_direction_stays(ratio, h, w):
    batch = batch_of(ratio=ratio, h=h, w=w)

    torch.testing.assert_close(Isotropic()(batch), FlipEnsemble(Isotropic())(batch))


def test_the_mean_turns_with_its_input():
    """A single run does not."""
    batch = batch_of(h=8, w=8)
    net = random_network()
    whole = FlipEnsemble(net)
    with torch.inference_mode():
        for flip in range(1, FLIPS):
            other = replace(batch, ms=turned(batch.ms, flip), pan=turned(batch.pan, flip))
            torch.testing.assert_close(
                turned(whole(batch), flip), whole(other), rtol=1e-4, atol=0.02
            )
            assert (turned(net(batch), flip) - net(other)).abs().max() > 1


class Centred(nn.Module):
    """The MS interpolated where its pixels lie, and PAN beside it."""

    def forward(self, batch):
        return upsample(batch.ms, batch.ratio, batch.phase) + 0.3 * batch.pan


@pytest.mark.parametrize("phase", ["aligned", "toolbox"])
@pytest.mark.parametrize("ratio", [2, 3, 4])
def test_a_flip_leaves_pixels_where_the_phase_has_them(ratio, phase):
    """Also in the toolbox's phase, whose MS pixels lie half a PAN pixel beside the middle."""
    batch = replace(batch_of(ratio=ratio, h=18, w=20), phase=phase)
    inner = (..., *(slice(5 * ratio, -5 * ratio),) * 2)

    expected, mean = Centred()(batch)[inner], FlipEnsemble(Centred())(batch)[inner]

    torch.testing.assert_close(expected, mean, rtol=1e-5, atol=0.01)


@pytest.mark.parametrize(("phase", "ratio"), [("aligned", 3), ("toolbox", 4), ("toolbox", 3)])
def test_a_part_is_cut_from_the_whole(phase, ratio):
    batch = replace(batch_of(h=12, w=9, ratio=ratio), phase=phase)
    for net in (Isotropic(), random_network()):
        with torch.inference_mode():
            whole = FlipEnsemble(net)(batch)
            part = FlipEnsemble(net).forward_part(batch, slice(8, 20), slice(4, 24))
        torch.testing.assert_close(whole[..., 8:20, 4:24], part, rtol=1e-4, atol=0.02)


@pytest.mark.parametrize(
    ("ratio", "h", "w", "phase"),
    [(4, 64, 48, "aligned"), (3, 50, 67, "aligned"), (4, 50, 47, "toolbox")],
)
def test_windows_show_no_seams(ratio, h, w, phase):
    """Also where the scene is no multiple of the network's own grid."""
    rng = torch.Generator().manual_seed(0)
    ms = torch.rand(3, h, w, generator=rng) * 500 + 100
    pan = torch.rand(1, h * ratio, w * ratio, generator=rng) * 500 + 100
    scene = Scene(name="x", ms=ms, pan=pan, phase=phase)
    gains = torch.full((3,), 0.3)
    model = SensorModel(mtf=gains, softness=gains)
    net = FlipEnsemble(random_network())
    statistics = scene_statistics(scene, model)

    whole, cut = (
        assemble(scene, fuse_windows(scene, net, model, halo=64, statistics=statistics, core=core))
        for core in (1024, 64)
    )

    torch.testing.assert_close(whole, cut, rtol=1e-4, atol=0.02)


def test_it_is_asked_for_tagged_and_reported(tmp_path):
    batch = batch_of(h=24, w=24)
    paths = write_pair(tmp_path, batch.pan[0].numpy(), batch.ms[0].numpy(), dtype="float32")
    weights = save_network(tmp_path / "w.safetensors", random_network())
    pixels = {}
    for quality in ("normal", "best"):
        out, report = tmp_path / f"{quality}.tif", tmp_path / f"{quality}.json"
        flags = ["--weights", str(weights), "--quality", quality, "--json", str(report), "-q"]
        assert 0 == main(["fuse", *paths, str(out), *flags])
        with rasterio.open(out) as file:
            pixels[quality] = file.read()
            tag = file.tags()["PANPRIOR_QUALITY"]
        flips = json.loads(report.read_text())["flips"]
        assert {"normal": ("one run", 1), "best": ("mean of 8 flips", 8)}[quality] == (tag, flips)
    assert abs(pixels["best"] - pixels["normal"]).max() > 1


def test_a_classical_method_has_no_flips():
    with pytest.raises(SceneError, match="`quality=best` averages a network's flips"):
        FusionOptions(method="gsa", quality="best")
    with pytest.raises(SceneError, match="normal or best"):
        FusionOptions(quality="high")
