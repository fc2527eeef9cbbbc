"""3 x 3 convolutions that repeat the border: torch's own layer is the reference."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from fusiontrain.models.layers import replicate_conv
from fusiontrain.models.layers.replicate_conv import ReplicateConv2d

LIBRARY = pytest.mark.parametrize("library", [True, False], ids=["gradients of torch", "ours"])


@LIBRARY
@pytest.mark.parametrize("shape", [(2, 3, 9, 40), (1, 3, 1, 1), (3, 3, 2, 5), (1, 3, 40, 41)])
@pytest.mark.parametrize("last", [False, True], ids=["channels first", "channels last"])
def test_replicate_is_torchs_replicated_convolution(shape, last, library, monkeypatch):
    """Values, and gradients of image, taps and bias."""
    monkeypatch.setattr(replicate_conv, "_TORCH_GRADIENTS", library)
    torch.manual_seed(0)
    ours, theirs = ReplicateConv2d(3, 5), nn.Conv2d(3, 5, 3, padding=1, padding_mode="replicate")
    theirs.load_state_dict(ours.state_dict())
    drawn = torch.randn(shape, dtype=torch.float64)
    images = [drawn.clone().requires_grad_() for _ in range(2)]
    layout = torch.channels_last if last else torch.contiguous_format

    found = []
    for net, image in zip((ours.double(), theirs.double()), images, strict=True):
        y = net(image.to(memory_format=layout))
        weighed = torch.linspace(-1, 2, y.numel(), dtype=torch.float64).reshape(y.shape)
        (y * weighed).sum().backward()
        found.append([y.detach(), image.grad, net.weight.grad, net.bias.grad])

    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


@LIBRARY
def test_replicate_of_float32_rounds_no_worse(library, monkeypatch):
    """Many pixels: a sum by chunks, against the same in float64."""
    monkeypatch.setattr(replicate_conv, "_TORCH_GRADIENTS", library)
    torch.manual_seed(0)
    net, image = ReplicateConv2d(4, 6), torch.randn(2, 4, 60, 70)
    exact = ReplicateConv2d(4, 6).double()
    exact.load_state_dict({k: v.double() for k, v in net.state_dict().items()})

    images = [image.requires_grad_(), image.detach().double().requires_grad_()]
    for one, x in zip((net, exact), images, strict=True):
        F.gelu(one(x)).square().mean().backward()

    torch.testing.assert_close(net.weight.grad.double(), exact.weight.grad, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(images[0].grad.double(), images[1].grad, rtol=1e-4, atol=1e-7)


@LIBRARY
def test_what_asks_for_no_gradient_gets_none(library, monkeypatch):
    """Frozen taps, an image that is data."""
    monkeypatch.setattr(replicate_conv, "_TORCH_GRADIENTS", library)
    layer, data = ReplicateConv2d(3, 2), torch.randn(1, 3, 4, 4)
    layer.weight.requires_grad_(False)

    layer(data).sum().backward()

    assert layer.weight.grad is None
    torch.testing.assert_close(layer.bias.grad, torch.full((2,), 16.0))
    through = data.clone().requires_grad_()
    layer(through).sum().backward()
    assert through.grad.abs().sum() > 0


@pytest.mark.skipif(
    not replicate_conv._NATIVE_BF16, reason="the processor does not multiply bfloat16"
)
def test_replicate_under_autocast_rounds_as_bfloat16_does():
    """Within 2^-7 of float32's values and gradients; the gradients of taps are float32."""
    torch.manual_seed(0)
    layer, reference = (
        ReplicateConv2d(16, 8),
        nn.Conv2d(16, 8, 3, padding=1, padding_mode="replicate"),
    )
    reference.load_state_dict(layer.state_dict())
    drawn = torch.randn(2, 16, 12, 20)
    images = [drawn.clone().requires_grad_() for _ in range(2)]

    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = layer(images[0])
    exact = reference(images[1])
    for y in (rounded, exact):
        y.float().square().sum().backward()

    assert torch.bfloat16 == rounded.dtype
    pairs = [(rounded.float(), exact), (images[0].grad, images[1].grad)]
    pairs += [
        (p.grad, q.grad) for p, q in zip(layer.parameters(), reference.parameters(), strict=True)
    ]
    for one, other in pairs:
        assert torch.float32 == one.dtype
        assert (one - other).norm() < 2**-7 * other.norm()


def test_on_a_device_images_are_channels_last_and_padded_by_copies(monkeypatch):
    """As tensor cores take them; shapes and operators alone, on torch's device without values."""
    monkeypatch.setattr(replicate_conv, "_DEVICES", ("meta",))
    monkeypatch.setattr(replicate_conv, "_TORCH_GRADIENTS", True)
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda device: False)  # meta has none
    layer = ReplicateConv2d(8, 16).to("meta")
    image = torch.empty(2, 8, 20, 24, device="meta", requires_grad=True)

    with OperatorNames() as called:
        y = layer(image)
        y.sum().backward()

    padded = replicate_conv.pad_replicate(image.detach())
    assert padded.is_contiguous(memory_format=torch.channels_last)
    assert image.shape == image.grad.shape
    assert any("convolution_backward" in name for name in called.names)
    assert [name for name in called.names if "replication" in name or "index_put" in name] == []


def test_cuda_takes_that_way():
    assert "cuda" in replicate_conv._DEVICES


class OperatorNames(TorchDispatchMode):
    """Names of the operators that run, of gradients too."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(str(func))
        return func(*args, **(kwargs or {}))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_is_the_cpu():
    """Values and gradients in float64."""
    found = []
    for device in ("cpu", "cuda"):
        torch.manual_seed(0)
        layer = ReplicateConv2d(4, 6).double().to(device)
        image = torch.randn(2, 4, 9, 12, dtype=torch.float64).to(device).requires_grad_()
        y = layer(image)
        (y * y).sum().backward()
        found.append([t.cpu() for t in (y.detach(), image.grad, layer.weight.grad)])

    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)
