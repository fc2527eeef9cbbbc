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


class Kernel:
    """mamba_chunk_scan_combined in torch, with its shapes, its states and its grid's limit."""

    def __init__(self, most):
        self.most, self.calls = most, []

    def __call__(
        self, x, dt, A, B, C, chunk_size, *, initial_states=None, return_final_states=False
    ):
        S, L, H, P = x.shape
        assert B.shape == C.shape == (S, L, 1, B.shape[-1])
        assert dt.shape == (S, L, H)
        assert A.shape == (H,)
        assert return_final_states
        self.calls.append(S * -(-L // chunk_size))
        h = x.new_zeros(S, H, P, B.shape[-1]) if initial_states is None else initial_states
        assert h.shape == (S, H, P, B.shape[-1])
        outputs = []
        for t in range(L):
            decay = torch.exp(dt[:, t] * A)[..., None, None]
            h = decay * h + (dt[:, t, :, None] * x[:, t])[..., None] * B[:, t, :, None]
            outputs.append((h * C[:, t, :, None]).sum(-1))
        return torch.stack(outputs, 1), h


@pytest.mark.parametrize(
    ("sequences", "tokens", "most", "calls"),
    [
        (3, 200, 12, [12]),  # four chunks each: all at once
        (3, 200, 11, [8, 4]),  # two sequences, then one
        (2, 200, 3, [3, 1, 3, 1]),  # no whole sequence: three chunks, then one
    ],
    ids=["whole", "by sequences", "by tokens"],
)
def test_the_kernels_grid_is_never_exceeded(monkeypatch, sequences, tokens, most, calls):
    """Cut where it must be: the same values and gradients."""
    monkeypatch.setattr(ssd_module, "_MOST_BLOCKS", most)
    kernel = Kernel(most)
    ours, slow = (ssd_inputs(tokens, sequences, 2, 3, 4) for _ in range(2))

    y, expected = ssd_module._by_kernel(kernel, *ours), reference_ssd(*slow)
    weights = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).reshape(y.shape)
    for output in (y, expected):
        (output * weights).sum().backward()

    assert calls == kernel.calls
    assert max(calls) <= most
    torch.testing.assert_close(y, expected)
    for one, other in zip(ours, slow, strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_a_head_that_never_forgets_is_no_quotient_of_zeros():
    """The kernel takes dt and x, of which x here is divided by dt: a decay of exactly one."""
    x, decay, B, C = ssd_inputs(20, dtype=torch.float32)

    y = ssd_module._by_kernel(Kernel(9), x, decay * 0, B, C)

    torch.testing.assert_close(y, reference_ssd(x, decay * 0, B, C), atol=1e-5, rtol=1e-5)


def test_the_grids_limit_is_cudas():
    """CUDA programming guide, table of compute capabilities: y and z of a grid, 2**16 - 1."""
    assert 2**16 - 1 == ssd_module._MOST_BLOCKS


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


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_more_chunks_than_a_grid_has_blocks():
    """4096 sequences of 1024 tokens, 128 crops x 8 bands: 65,536 chunks, one too many."""
    if scan.mamba_ssm_kernel(*ssd_module._KERNEL) is None:
        pytest.skip("mamba-ssm is not installed")
    tensors = [t.detach().cuda() for t in ssd_inputs(1024, 4, 1, 16, 16, dtype=torch.float32)]
    many = [t.repeat(1024, *[1] * (t.ndim - 1)) for t in tensors]

    torch.testing.assert_close(ssd(*many)[-4:], ssd(*tensors), atol=1e-5, rtol=1e-5)
