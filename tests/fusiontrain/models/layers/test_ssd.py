"""SSD against its reference, and what it must never do."""

import pytest
import torch

from fusiontrain.models.layers import selective_scan as scan
from fusiontrain.models.layers import ssd as ssd_module
from fusiontrain.models.layers.selective_scan import selective_scan
from fusiontrain.models.layers.ssd import CHUNK, reference_ssd, ssd
from tests.support.scan_inputs import selective_scan_inputs, ssd_inputs


@pytest.mark.parametrize("tokens", [1, 5, CHUNK, CHUNK + 1, 101])
@pytest.mark.parametrize(
    ("dtype", "atol"), [(torch.float32, 1e-5), (torch.float64, 1e-12)], ids=["f32", "f64"]
)
@pytest.mark.parametrize("chunk", [CHUNK, 7])
def test_matrix_products_are_the_recurrence(tokens, dtype, atol, chunk):
    """Mamba-2's scan: values and every gradient, within a chunk and across many."""
    fast, slow = ssd_inputs(tokens, dtype=dtype), ssd_inputs(tokens, dtype=dtype)
    weights = torch.linspace(-1, 1, tokens * 24, dtype=dtype).reshape(2, tokens, 3, 4)

    outputs = ssd(*fast, chunk=chunk), reference_ssd(*slow)
    for output in outputs:
        (output * weights).sum().backward()

    torch.testing.assert_close(*outputs, atol=atol, rtol=atol)
    for name, one, other in zip(("x", "decay", "B", "C"), fast, slow, strict=True):
        assert one.grad is not None, name
        scale = float(other.grad.abs().max())
        torch.testing.assert_close(one.grad, other.grad, atol=atol * max(1.0, scale), rtol=atol)


def test_gradients_of_matrix_products_are_those_of_differences():
    """torch's own numerical check, as an independent check."""
    assert torch.autograd.gradcheck(lambda *t: ssd(*t, chunk=4), ssd_inputs(9, 1, 2, 2, 2))


def test_both_scans_are_one_where_their_equations_meet():
    """A selective scan whose states share a decay is Mamba-2's with one feature a head."""
    x, dt, _, B, C, D = (tensor.detach() for tensor in selective_scan_inputs(60))
    rates = -torch.tensor([0.3, 1.0, 2.5], dtype=torch.float64)

    one = selective_scan(x, dt, rates[:, None].expand(-1, 4), B, C, torch.zeros_like(D))
    other = ssd((dt * x)[..., None], dt * rates, B, C)

    torch.testing.assert_close(one, other[..., 0])


def test_sums_of_decays_overflow_nothing():
    """A head that forgets at once, and one that never does: no quotient of the two."""
    x, decay, B, C = ssd_inputs(64, dtype=torch.float32)
    scale = torch.tensor([1e4, 1.0, 0.0])

    y = ssd(x, decay * scale, B, C)
    y.sum().backward()

    torch.testing.assert_close(y, reference_ssd(x, decay * scale, B, C), atol=1e-4, rtol=1e-5)
    assert all(torch.isfinite(tensor.grad).all() for tensor in (x, decay, B, C))


def test_bfloat16_sums_decays_in_float32():
    """No worse than its own rounding, also where it keeps nearly everything for 400 tokens."""
    exact = ssd_inputs(400, dtype=torch.float32)
    rounded = [tensor.detach().bfloat16() for tensor in exact]
    rounded[1] = rounded[1] * 0.01

    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = ssd(*rounded)

    wide = reference_ssd(*(tensor.float() for tensor in rounded))
    assert torch.bfloat16 == y.dtype
    torch.testing.assert_close(y.float(), wide, atol=2e-2, rtol=1e-2)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_kernel_of_mamba_2_is_the_reference_too():
    """To 1e-2 of the largest value: Triton multiplies float32 with ten bits of mantissa."""
    if scan.mamba_ssm_kernel(*ssd_module._KERNEL) is None:
        pytest.skip("mamba-ssm is not installed")
    tensors = [t.detach().cuda() for t in ssd_inputs(300, 2, 4, 16, 16, dtype=torch.float32)]

    expected = reference_ssd(*tensors)

    error = (ssd(*tensors) - expected).abs().max() / expected.abs().max()
    assert float(error) < 1e-2
