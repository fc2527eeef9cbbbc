"""Windows on a device with too little memory, and windows in flight: the same pixels."""

import weakref

import pytest
import torch

from fusiontrain.errors import SceneError
from fusiontrain.fusion import device_windows, network_fuser
from fusiontrain.fusion.network_fuser import (
    NetworkFuser,
    fuse_network,
    fuse_windows,
    scene_statistics,
)
from fusiontrain.fusion.sensor_model import SensorModel
from fusiontrain.fusion.window_loop import assemble
from fusiontrain.imaging.filters import upsample
from fusiontrain.models.registry import build_model, find_model
from fusiontrain.scenes.scene import Scene

ENTRY = find_model("anyband")
HALO = 20  # PAN pixels, of Near


class Near(torch.nn.Module):
    """A network that looks 16 PAN pixels far, in its scene's own grid."""

    def forward(self, batch):
        wide = torch.nn.functional.pad(batch.pan, (6, 6, 6, 6), mode="replicate")
        return upsample(batch.ms, 4) + torch.nn.functional.avg_pool2d(wide, 13, 1)


class Small(torch.nn.Module):
    """A network on a device that holds windows of so many PAN pixels, and what it refused."""

    def __init__(self, net, most):
        super().__init__()
        self.net, self.most, self.held = net, most, []
        self.calls = self.refused = 0

    def forward(self, batch):
        self.calls += 1
        if batch.pan.shape[-1] * batch.pan.shape[-2] > self.most:
            self.refused += 1
            taken = torch.zeros(1)
            self.held.append(weakref.ref(taken))
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        assert not any(ref() is not None for ref in self.held)  # freed before the next try
        return self.net(batch)


@pytest.fixture
def scene():
    """112 x 96 MS pixels; two of its windows of 128 PAN pixels hold no data."""
    rng = torch.Generator().manual_seed(1)
    ms = 500 + 200 * torch.rand(4, 112, 96, generator=rng)
    pan = 500 + 200 * torch.rand(1, 448, 384, generator=rng)
    valid = torch.ones(448, 384, dtype=torch.bool)
    valid[128:256, :256] = False
    return Scene(name="x", ms=ms, pan=pan, valid=valid)


@pytest.fixture
def parts(scene):
    """(net, core) -> the scene, fused, and the windows in the order in which they came."""
    gains = torch.full((4,), 0.3)
    model = SensorModel(mtf=gains, softness=gains, shift=(0.3, -0.4))
    statistics = scene_statistics(scene, model)

    def fuse(net, core):
        windows = list(fuse_windows(scene, net, model, halo=HALO, statistics=statistics, core=core))
        return assemble(scene, windows), [window.core for window in windows]

    return fuse


@pytest.fixture(scope="module")
def net():
    return Near()


@pytest.mark.parametrize("most", [380 * 430, 240**2, 150**2])
def test_windows_that_do_not_fit_are_fused_in_parts(net, parts, most):
    """No seam, no pixel off by more than rounding; the next windows do not try again in vain."""
    whole, order = parts(net, 384)
    small = Small(net, most)

    halved, order_too = parts(small, 384)

    assert small.refused <= 3
    assert order == order_too
    torch.testing.assert_close(halved, whole, atol=2e-3, rtol=0)


def test_nothing_fits_is_one_line_that_says_what_to_do(net, parts):
    with pytest.raises(SceneError, match=r"`device=cpu` has too little memory .*\n  do: "):
        parts(Small(net, 10), 128)


def test_other_errors_pass(net, parts):
    class Broken(torch.nn.Module):
        def forward(self, batch):
            raise RuntimeError("an illegal memory access")

    with pytest.raises(RuntimeError, match="illegal memory access"):
        parts(Broken(), 128)


def test_windows_in_flight_come_in_their_order(net, parts, monkeypatch):
    """As on a GPU: one is computed while the next is prepared; empty ones keep their place."""
    expected, order = parts(net, 128)
    monkeypatch.setitem(device_windows.IN_FLIGHT, "cpu", device_windows.IN_FLIGHT["cuda"])

    fused, order_too = parts(net, 128)

    assert order == order_too
    assert torch.equal(expected, fused)


def test_a_gpu_has_a_figure_of_its_own():
    """It takes all bands at once: more bytes a pixel, in far less time."""
    costs = [
        NetworkFuser(net=torch.nn.Identity(), entry=ENTRY, digest="", device=torch.device(d)).cost
        for d in ("cpu", "cuda")
    ]

    assert costs[0].bytes_per_pixel < costs[1].bytes_per_pixel
    assert costs[0].speed < costs[1].speed


def test_a_scene_in_memory_is_fused_where_the_network_lies(scene, monkeypatch):
    """Adapting, one-shot tuning and validation go by it."""
    asked = []

    def fuse_windows(*args, device, **kwargs):
        asked.append(device)
        return iter(())

    monkeypatch.setattr(network_fuser, "fuse_windows", fuse_windows)
    gains = torch.full((4,), 0.3)
    for device in ("cpu", "meta"):
        net = torch.nn.Linear(2, 2).to(device)
        fuse_network(scene, net, SensorModel(mtf=gains, softness=gains), halo=8)

    assert [torch.device("cpu"), torch.device("meta")] == asked


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_fuses_as_the_cpu(scene):
    """To a tenth of a DN, TF32 being off."""
    gains = torch.full((4,), 0.3)
    model = SensorModel(mtf=gains, softness=gains, shift=(0.3, -0.4))
    net, statistics = build_model("anyband").eval(), scene_statistics(scene, model)
    for p in net.parameters():
        torch.nn.init.normal_(p, std=0.05)
    fused = [
        assemble(
            scene,
            fuse_windows(
                scene,
                net.to(device),
                model,
                halo=ENTRY.halo(4),
                statistics=statistics,
                core=128,
                device=torch.device(device),
            ),
        )
        for device in ("cpu", "cuda")
    ]

    torch.testing.assert_close(*fused, atol=0.1, rtol=0)
