"""TF32, emulated on the CPU: what it would change, and that it changes no physics."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from fusiontrain.fusion.network_fuser import fuse_windows, scene_statistics
from fusiontrain.fusion.sensor_model import SensorModel
from fusiontrain.imaging.filters import degrade
from fusiontrain.imaging.full_precision import full_precision, tf32
from fusiontrain.imaging.pan_batch import PanBatch
from fusiontrain.models.anyband.inputs import make_inputs
from fusiontrain.models.registry import build_model
from fusiontrain.scenes.scene import Scene
from fusiontrain.training.losses import consistent_l1
from fusiontrain.training.validation import OnDevice

_CONVOLUTIONS = {torch.ops.aten.convolution.default, torch.ops.aten.mkldnn_convolution.default}
_PRODUCTS = {
    torch.ops.aten.mm.default,
    torch.ops.aten.bmm.default,
    torch.ops.aten.addmm.default,
    torch.ops.aten.baddbmm.default,
}


def allowed() -> tuple[bool, bool]:
    """What torch's switches say of convolutions and of matrix products."""
    return torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32


def rounded(tensor):
    """To the ten bits of mantissa that TF32 keeps."""
    if not isinstance(tensor, torch.Tensor) or tensor.dtype != torch.float32:
        return tensor
    bits = tensor.detach().contiguous().view(torch.int32)
    return ((bits + 0x1000) & ~0x1FFF).view(torch.float32)


class EmulatedTf32(TorchDispatchMode):
    """A GPU's convolutions and products: factors rounded where the switches allow it."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        conv, product = allowed()
        if (conv and func in _CONVOLUTIONS) or (product and func in _PRODUCTS):
            self.count += 1
            args = tuple(rounded(arg) for arg in args)
        return func(*args, **(kwargs or {}))


@pytest.fixture
def batch():
    rng = torch.Generator().manual_seed(3)
    gains = torch.full((1, 4), 0.3)
    pan = 500 + 200 * torch.rand(1, 1, 64, 64, generator=rng)
    ms = 500 + 200 * torch.rand(1, 4, 16, 16, generator=rng)
    return PanBatch(ms=ms, pan=pan, ratio=4, mtf=gains, softness=gains)


@pytest.fixture(params=[True, False], ids=["all allowed", "torch's default"])
def switches(request):
    """The switches as a training run or torch sets them."""
    before = allowed()
    with tf32(allowed=True):
        if not request.param:
            torch.backends.cuda.matmul.allow_tf32 = False
        inside = allowed()
        yield
        assert inside == allowed()  # every block puts back what it found
    assert before == allowed()


def test_the_emulation_shows_what_tf32_loses(batch, switches):
    """DN lose their last: some tenths, where full precision loses ten-thousandths."""
    bands = batch.pan.expand(-1, 4, -1, -1)  # a PAN alone takes matrix products on the CPU
    exact = degrade(bands, batch.mtf, 4)
    with EmulatedTf32() as emulated:
        rough = degrade(bands, batch.mtf, 4)

    assert emulated.count
    assert 0.05 < float((rough - exact).abs().max()) < 5


def test_physics_of_a_network_uses_none(batch, switches):
    expected = make_inputs(batch)
    with EmulatedTf32() as emulated:
        inputs = make_inputs(batch)
        stem = inputs.stem_images

    assert 0 == emulated.count
    assert torch.equal(expected.stem_images, stem)


def test_the_loss_degrades_in_full_precision(batch, switches):
    truth = batch.pan.expand(-1, 4, -1, -1)
    with EmulatedTf32() as emulated:
        consistent_l1(truth + 1, truth, batch)

    assert 0 == emulated.count


@pytest.mark.parametrize("bf16", [False, True])
def test_fusing_uses_none(batch, switches, bf16):
    scene = Scene(name="x", ms=batch.ms[0], pan=batch.pan[0])
    model = SensorModel(mtf=batch.mtf[0], softness=batch.softness[0])
    net = build_model("anyband").eval()
    statistics = scene_statistics(scene, model)
    with EmulatedTf32() as emulated:
        list(fuse_windows(scene, net, model, halo=8, statistics=statistics, bf16=bf16))

    assert 0 == emulated.count


def test_validation_uses_none(batch, switches):
    net = OnDevice(build_model("anyband").eval(), torch.device("cpu"))
    with EmulatedTf32() as emulated, torch.no_grad():
        net(batch)

    assert 0 == emulated.count


@pytest.mark.parametrize("given", [False, True])
def test_a_training_run_chooses_for_its_network(batch, given):
    """The physics in it stays exact, the network's own layers take what was chosen."""
    net = build_model("anyband")
    with tf32(allowed=given), EmulatedTf32() as emulated:
        net(batch)

    assert given == (emulated.count > 0)


def test_the_switches_of_new_torch_are_used_where_a_program_uses_them(batch):
    """torch then refuses to read the old ones."""
    conv = getattr(torch.backends.cudnn, "conv", None)
    if conv is None:
        pytest.skip("torch 2.9 brought them")
    before = conv.fp32_precision
    try:
        conv.fp32_precision = "ieee"
        torch.backends.cuda.matmul.fp32_precision = "tf32"
        with full_precision(torch.device("cpu")):
            inside = torch.backends.cuda.matmul.fp32_precision
        after = torch.backends.cuda.matmul.fp32_precision
    finally:
        conv.fp32_precision = before
        torch.backends.cuda.matmul.fp32_precision = "none"
        torch.backends.cuda.matmul.allow_tf32 = False

    assert ("ieee", "tf32") == (inside, after)
