"""The selective scan against its reference, and what it must never do."""

import importlib.util
import subprocess
import sys

import pytest
import torch

from fusiontrain.models.layers import selective_scan as scan
from fusiontrain.models.layers.selective_scan import reference_scan, selective_scan
from tests.support.scan_inputs import selective_scan_inputs

NAMES = ("x", "dt", "A", "B", "C", "D")


@pytest.mark.parametrize("tokens", [1, 2, 7, 16, 50, 101])
@pytest.mark.parametrize(
    ("dtype", "atol"), [(torch.float32, 1e-5), (torch.float64, 1e-12)], ids=["f32", "f64"]
)
@pytest.mark.parametrize("segment", [4096, 24], ids=["whole", "segments"])
def test_it_is_its_reference(tokens, dtype, atol, segment, monkeypatch):
    """In values and in every gradient; also where segments are computed twice."""
    monkeypatch.setattr(scan, "SEGMENT", segment)
    fast, slow = (
        selective_scan_inputs(tokens, dtype=dtype),
        selective_scan_inputs(tokens, dtype=dtype),
    )
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
    """torch's own numerical check, as an independent check."""
    assert torch.autograd.gradcheck(selective_scan, selective_scan_inputs(9, 1, 2, 2))


def test_fast_forgetting_overflows_nothing():
    """A state that forgets at once: exp(-1e4) is zero and its inverse never asked for."""
    tensors = selective_scan_inputs(64, dtype=torch.float32, decay=1e4)

    y = selective_scan(*tensors)
    y.sum().backward()

    torch.testing.assert_close(y, reference_scan(*tensors))
    assert all(torch.isfinite(tensor.grad).all() for tensor in tensors)


def test_bfloat16_goes_through_float32():
    """Autocast's tensors come back in their own type, no worse than their own rounding."""
    exact = selective_scan_inputs(200, dtype=torch.float32)
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
from fusiontrain.models.layers import ssd
ssd.mamba_ssm_kernel(*ssd._KERNEL)
print(asked[0])  # when a GPU asks, it is looked for
"""

    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)

    assert ["[]", "mamba_ssm"] == done.stdout.strip().splitlines()


def installed(monkeypatch, folder, text):
    """A package mamba_ssm whose module of kernels holds `text`."""
    inner = folder / "mamba_ssm" / "ops"
    inner.mkdir(parents=True)
    for package in (inner.parent, inner):
        (package / "__init__.py").write_text("")
    (inner / "selective_scan_interface.py").write_text(text)
    monkeypatch.syspath_prepend(folder)
    for name in [n for n in sys.modules if n.partition(".")[0] == "mamba_ssm"]:
        monkeypatch.delitem(sys.modules, name)
    scan.mamba_ssm_kernel.cache_clear()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("import torch\ntorch.no_such_operator", "no attribute 'no_such_operator'"),
        ("import no_such_dependency", "no_such_dependency"),
        ("raise AssertionError('triton 2')", "AssertionError: triton 2"),
        ("raise OSError('undefined symbol')", "OSError: undefined symbol"),
        ("", "no attribute 'selective_scan_fn'"),
    ],
    ids=["attribute", "dependency", "assertion", "symbol", "renamed"],
)
def test_a_mismatched_mamba_ssm_is_warned_of_once(monkeypatch, tmp_path, caplog, text, why):
    """It falls back, whatever it raises, and says so."""
    installed(monkeypatch, tmp_path, text)

    kernels = [scan.mamba_ssm_kernel(*scan._KERNEL) for _ in range(3)]
    scan.mamba_ssm_kernel.cache_clear()

    assert [None] * 3 == kernels
    (record,) = caplog.records
    assert "WARNING" == record.levelname
    assert "plain torch" in record.getMessage()
    assert why in record.getMessage()


def test_the_log_says_which_scan_ran(monkeypatch, tmp_path, caplog):
    """A kernel that is there, and none: no warning for a package that nobody installed."""
    caplog.set_level("INFO")
    installed(monkeypatch, tmp_path, "def selective_scan_fn(*tensors): return 7")
    assert 7 == scan.mamba_ssm_kernel(*scan._KERNEL)()
    scan.mamba_ssm_kernel.cache_clear()
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p != str(tmp_path)])
    for name in [n for n in sys.modules if n.partition(".")[0] == "mamba_ssm"]:
        monkeypatch.delitem(sys.modules, name)
    if importlib.util.find_spec("mamba_ssm"):
        pytest.skip("mamba-ssm is installed")
    assert scan.mamba_ssm_kernel(*scan._KERNEL) is None
    scan.mamba_ssm_kernel.cache_clear()

    assert ["INFO", "INFO"] == [record.levelname for record in caplog.records]
    assert "selective_scan_fn of mamba-ssm" in caplog.records[0].getMessage()
    assert "plain torch" in caplog.records[1].getMessage()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_mamba_ssm_kernel_is_the_reference_too():
    """float32 on a GPU: to 1e-4, its sums run in another order."""
    if scan.mamba_ssm_kernel(*scan._KERNEL) is None:
        pytest.skip("mamba-ssm is not installed")
    tensors = [tensor.detach().cuda() for tensor in selective_scan_inputs(300, dtype=torch.float32)]

    torch.testing.assert_close(
        selective_scan(*tensors), reference_scan(*tensors), atol=1e-4, rtol=1e-4
    )
