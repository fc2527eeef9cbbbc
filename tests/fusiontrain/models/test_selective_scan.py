"""The fast scans against their slow twins, and what they must never do."""

import subprocess
import sys

import pytest
import torch

from fusiontrain.models.layers import selective_scan as scan
from fusiontrain.models.layers import ssd as ssd_module
from fusiontrain.models.layers.four_direction_ssd import FourDirectionSSD
from fusiontrain.models.layers.selective_scan import reference_scan, selective_scan
from fusiontrain.models.layers.ssd import CHUNK, reference_ssd, ssd

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

    outputs = [f(*g) for f, g in ((selective_scan, fast), (reference_scan, slow))]
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

    torch.testing.assert_close(y, reference_scan(*tensors))
    assert all(torch.isfinite(tensor.grad).all() for tensor in tensors)


def test_bfloat16_goes_through_float32():
    """Autocast's tensors come back in their own type, no worse than their own rounding."""
    exact = given(200, dtype=torch.float32)
    rounded = [tensor.detach().bfloat16() for tensor in exact]

    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = selective_scan(*rounded)

    wide = reference_scan(*(tensor.float() for tensor in rounded))
    assert torch.bfloat16 == y.dtype
    torch.testing.assert_close(y.float(), wide, atol=2e-2, rtol=1e-2)


def test_a_constant_input_settles_where_the_equation_says():
    """By hand: h = a h + u has the rest u / (1 - a)."""
    ones = torch.ones(1, 400, 1, dtype=torch.float64)
    A = torch.tensor([[-2.0]], dtype=torch.float64)

    y = selective_scan(3 * ones, 0.1 * ones, A, ones, ones, torch.zeros(1, dtype=torch.float64))

    rest = 0.1 * 3 / (1 - torch.exp(torch.tensor(-0.2, dtype=torch.float64)))
    torch.testing.assert_close(y[0, -1, 0], rest)


def given_heads(tokens=50, sequences=2, heads=3, features=4, states=5, dtype=torch.float64):
    dice = torch.Generator().manual_seed(11)

    def draw(*shape):
        return torch.randn(*shape, generator=dice, dtype=dtype)

    decay = -torch.nn.functional.softplus(draw(sequences, tokens, heads))
    ways = (draw(sequences, tokens, states), draw(sequences, tokens, states))
    tensors = (draw(sequences, tokens, heads, features), decay, *ways)
    return tuple(tensor.detach().requires_grad_(True) for tensor in tensors)


@pytest.mark.parametrize("tokens", [1, 5, CHUNK, CHUNK + 1, 101])
@pytest.mark.parametrize(
    ("dtype", "atol"), [(torch.float32, 1e-5), (torch.float64, 1e-12)], ids=["f32", "f64"]
)
@pytest.mark.parametrize("chunk", [CHUNK, 7])
def test_matrix_products_are_the_recurrence(tokens, dtype, atol, chunk):
    """Mamba-2's scan: values and every gradient, within a chunk and across many."""
    fast, slow = given_heads(tokens, dtype=dtype), given_heads(tokens, dtype=dtype)
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
    """torch's own numerical check, as an outside judge of both forms."""
    assert torch.autograd.gradcheck(lambda *t: ssd(*t, chunk=4), given_heads(9, 1, 2, 2, 2))


def test_both_scans_are_one_where_their_equations_meet():
    """A selective scan whose states share a decay is Mamba-2's with one feature a head."""
    x, dt, _, B, C, D = (tensor.detach() for tensor in given(60))
    rates = -torch.tensor([0.3, 1.0, 2.5], dtype=torch.float64)

    one = selective_scan(x, dt, rates[:, None].expand(-1, 4), B, C, torch.zeros_like(D))
    other = ssd((dt * x)[..., None], dt * rates, B, C)

    torch.testing.assert_close(one, other[..., 0])


def test_sums_of_decays_overflow_nothing():
    """A head that forgets at once, and one that never does: no quotient of the two."""
    x, decay, B, C = given_heads(64, dtype=torch.float32)
    scale = torch.tensor([1e4, 1.0, 0.0])

    y = ssd(x, decay * scale, B, C)
    y.sum().backward()

    torch.testing.assert_close(y, reference_ssd(x, decay * scale, B, C), atol=1e-4, rtol=1e-5)
    assert all(torch.isfinite(tensor.grad).all() for tensor in (x, decay, B, C))


def test_bfloat16_sums_decays_in_float32():
    """No worse than its own rounding, also where it keeps nearly everything for 400 tokens."""
    exact = given_heads(400, dtype=torch.float32)
    rounded = [tensor.detach().bfloat16() for tensor in exact]
    rounded[1] = rounded[1] * 0.01

    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = ssd(*rounded)

    wide = reference_ssd(*(tensor.float() for tensor in rounded))
    assert torch.bfloat16 == y.dtype
    torch.testing.assert_close(y.float(), wide, atol=2e-2, rtol=1e-2)


@pytest.mark.parametrize(("axis", "turn"), [(2, False), (2, True), (3, False), (3, True)])
def test_four_ways_look_four_ways(axis, turn):
    """With one direction's features alone, a pixel depends on those before it on its own line."""
    torch.manual_seed(0)
    net = FourDirectionSSD(8, states=2).double()
    way = (2 if axis == 2 else 0) + turn  # rows, backwards, columns, backwards
    with torch.no_grad():
        net.near.weight.zero_()
        net.near.weight[:, :, 1, 1] = 1  # the convolution looks nowhere
        net.skip.zero_()
        only = torch.arange(16) // 4 == way
        net.leave.weight.normal_()
        net.leave.weight *= only
        net.norm_last = torch.nn.Identity()
    image = torch.randn(1, 8, 6, 7, dtype=torch.float64, requires_grad=True)

    net(image)[0, :, 3, 3].sum().backward()

    seen = image.grad[0].abs().sum(0) > 0
    line = seen[:, 3] if axis == 2 else seen[3]
    places = torch.arange(len(line))
    assert torch.equal(line, places >= 3 if turn else places <= 3)
    assert int(seen.sum()) == int(line.sum())


def test_the_kernels_are_not_looked_for_without_a_gpu():
    """mamba_ssm may be absent or broken: no start-up and no CPU run tries to import it."""
    check = """
import sys
from importlib.abc import MetaPathFinder
asked = []
class Watch(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.startswith("mamba_ssm"): asked.append(name)
sys.meta_path.insert(0, Watch())
import fusiontrain.cli, fusiontrain.commands.fuse, fusiontrain.training.run
import torch
from fusiontrain.imaging.pan_batch import PanBatch
from fusiontrain.models.registry import build_model
gains = torch.full((1, 4), 0.3)
batch = PanBatch(ms=torch.rand(1, 4, 4, 4), pan=torch.rand(1, 1, 16, 16), ratio=4,
                 mtf=gains, softness=gains)
for name in ("panmamba", "anyband-fusionmamba"):
    sizes = {"bands": 4} if name == "panmamba" else {}
    build_model(name, **sizes)(batch)
print(asked)
from fusiontrain.models import ssd
ssd.mamba_ssm_kernel(*ssd._KERNEL)
print(asked[0])  # when a GPU asks, it is looked for
"""

    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)

    assert ["[]", "mamba_ssm"] == done.stdout.strip().splitlines()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_mamba_ssm_kernel_is_the_slow_twin_too():
    """float32 on a GPU: to 1e-4, its sums run in another order."""
    if scan.mamba_ssm_kernel(*scan._KERNEL) is None:
        pytest.skip("mamba-ssm is not installed")
    tensors = [tensor.detach().cuda() for tensor in given(300, dtype=torch.float32)]

    torch.testing.assert_close(
        selective_scan(*tensors), reference_scan(*tensors), atol=1e-4, rtol=1e-4
    )


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_kernel_of_mamba_2_is_the_slow_twin_too():
    """To 1e-2 of the largest value: Triton multiplies float32 with ten bits of mantissa."""
    if scan.mamba_ssm_kernel(*ssd_module._KERNEL) is None:
        pytest.skip("mamba-ssm is not installed")
    tensors = [t.detach().cuda() for t in given_heads(300, 2, 4, 16, 16, dtype=torch.float32)]

    expected = reference_ssd(*tensors)

    error = (ssd(*tensors) - expected).abs().max() / expected.abs().max()
    assert float(error) < 1e-2
