"""The fast selective scan against its slow twin, and what it must never do."""

import subprocess
import sys

import pytest
import torch

from fusiontrain.models import scan
from fusiontrain.models.scan import plain_scan, selective_scan

NAMES = ("x", "dt", "A", "B", "C", "D")


def given(tokens=50, batch=2, features=3, states=4, dtype=torch.float64, decay=1.0):
    dice = torch.Generator().manual_seed(7)

    def draw(*shape):
        return torch.randn(*shape, generator=dice, dtype=dtype)

    x, B, C = (
        draw(batch, tokens, features),
        draw(batch, tokens, states),
        draw(batch, tokens, states),
    )
    dt = torch.nn.functional.softplus(draw(batch, tokens, features) - 1)
    A = -decay * torch.arange(1, states + 1, dtype=dtype).repeat(features, 1)
    tensors = (x, dt, A, B, C, draw(features))
    return tuple(tensor.requires_grad_(True) for tensor in tensors)


@pytest.mark.parametrize("tokens", [1, 2, 7, 16, 50, 101])
@pytest.mark.parametrize(
    ("dtype", "atol"), [(torch.float32, 1e-5), (torch.float64, 1e-12)], ids=["f32", "f64"]
)
@pytest.mark.parametrize("segment", [4096, 24], ids=["whole", "segments"])
def test_it_is_its_slow_twin(tokens, dtype, atol, segment, monkeypatch):
    """In values and in every gradient; also where segments are computed twice."""
    monkeypatch.setattr(scan, "SEGMENT", segment)
    fast, slow = given(tokens, dtype=dtype), given(tokens, dtype=dtype)
    weights = torch.linspace(-1, 1, tokens * 6, dtype=dtype).reshape(2, tokens, 3)

    outputs = [f(*g) for f, g in ((selective_scan, fast), (plain_scan, slow))]
    for output in outputs:
        (output * weights).sum().backward()

    torch.testing.assert_close(*outputs, atol=atol, rtol=atol)
    for name, one, other in zip(NAMES, fast, slow, strict=True):
        assert one.grad is not None, name
        scale = float(other.grad.abs().max())
        torch.testing.assert_close(one.grad, other.grad, atol=atol * max(1.0, scale), rtol=atol)


def test_gradients_are_those_of_differences():
    """torch's own numerical check, as an outside judge of both forms."""
    assert torch.autograd.gradcheck(selective_scan, given(9, 1, 2, 2))


def test_fast_forgetting_overflows_nothing():
    """A state that forgets at once: exp(-1e4) is zero and its inverse never asked for."""
    tensors = given(64, dtype=torch.float32, decay=1e4)

    y = selective_scan(*tensors)
    y.sum().backward()

    torch.testing.assert_close(y, plain_scan(*tensors))
    assert all(torch.isfinite(tensor.grad).all() for tensor in tensors)


def test_bfloat16_goes_through_float32():
    """Autocast's tensors come back in their own type, no worse than their own rounding."""
    exact = given(200, dtype=torch.float32)
    rounded = [tensor.detach().bfloat16() for tensor in exact]

    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = selective_scan(*rounded)

    wide = plain_scan(*(tensor.float() for tensor in rounded))
    assert torch.bfloat16 == y.dtype
    torch.testing.assert_close(y.float(), wide, atol=2e-2, rtol=1e-2)


def test_a_constant_input_settles_where_the_equation_says():
    """By hand: h = a h + u has the rest u / (1 - a)."""
    ones = torch.ones(1, 400, 1, dtype=torch.float64)
    A = torch.tensor([[-2.0]], dtype=torch.float64)

    y = selective_scan(3 * ones, 0.1 * ones, A, ones, ones, torch.zeros(1, dtype=torch.float64))

    rest = 0.1 * 3 / (1 - torch.exp(torch.tensor(-0.2, dtype=torch.float64)))
    torch.testing.assert_close(y[0, -1, 0], rest)


def test_the_kernels_are_not_looked_for_at_import():
    """mamba_ssm may be absent or broken; neither is met before a GPU asks."""
    check = (
        "import sys; sys.modules['mamba_ssm'] = None; import fusiontrain.models.registry as r; "
        "import torch; from fusiontrain.models.scan import _fused_kernel; print(_fused_kernel())"
    )

    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)

    assert "None" == done.stdout.strip()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_fused_kernel_is_the_slow_twin_too():
    """float32 on a GPU: to 1e-4, its sums run in another order."""
    if scan._fused_kernel() is None:
        pytest.skip("mamba-ssm is not installed")
    tensors = [tensor.detach().cuda() for tensor in given(300, dtype=torch.float32)]

    torch.testing.assert_close(selective_scan(*tensors), plain_scan(*tensors), atol=1e-4, rtol=1e-4)
