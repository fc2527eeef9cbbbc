"""What every published network must do."""

from dataclasses import replace

import pytest
import torch

from fusiontrain.errors import ShapeError
from fusiontrain.models.checkpoints import CheckpointInfo, load_checkpoint, save_checkpoint
from fusiontrain.models.registry import MODELS, build_model
from tests.support.networks import SMALL, batch_of, small

PUBLISHED = sorted(name for name in MODELS if not MODELS[name].any_band)


# Small enough to run often; what is asked does not depend on width.
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(params=PUBLISHED)
def name(request):
    return request.param


@pytest.mark.parametrize("bands", [4, 8])
@pytest.mark.parametrize("phase", ["aligned", "toolbox"])
def test_any_size_comes_back_as_it_came(name, bands, phase):
    """Sizes that are multiples of nothing; finite DN."""
    batch = replace(batch_of(bands, 7, 9), phase=phase)

    with torch.no_grad():
        fused = small(name, bands)(batch)

    assert (1, bands, 28, 36) == fused.shape
    assert torch.isfinite(fused).all()


def test_gradients_reach_every_parameter(name):
    """Nothing is built that nothing uses."""
    net = small(name)
    batch = batch_of(h=8, w=8)

    net(batch).square().mean().backward()

    idle = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum()]
    assert [] == idle


@pytest.mark.parametrize(("bands", "ratio"), [(3, 4), (4, 3)])
def test_what_does_not_fit_is_one_clear_line(name, bands, ratio):
    """Bands it was not built for; a ratio where the paper has but one."""
    net = small(name)
    if bands == 4 and net.only_ratio is None:
        with torch.no_grad():
            assert (1, 4, 24, 30) == net(batch_of(4, ratio=3)).shape
        return

    with pytest.raises(ShapeError, match=r"built for .*; got \d: use .*any-band") as caught:
        net(batch_of(bands, ratio=ratio))
    assert "\n" not in str(caught.value)


def test_scale_is_a_unit(name):
    """Twice the DN over twice the full scale is the same image."""
    net, batch = small(name).double(), batch_of(dtype=torch.float64)
    other = replace(batch, ms=batch.ms * 2, pan=batch.pan * 2)

    with torch.no_grad():
        expected = 2 * net(batch)
        net.full_scale *= 2
        torch.testing.assert_close(net(other), expected)


def test_a_batch_is_its_samples(name):
    """Samples are independent."""
    net, batch = small(name).double(), batch_of(dtype=torch.float64, size=3)
    second = replace(
        batch, **{key: getattr(batch, key)[1:2] for key in ("ms", "pan", "mtf", "softness")}
    )

    with torch.no_grad():
        torch.testing.assert_close(net(batch)[1:2], net(second))


def test_bf16_keeps_the_scale(name):
    """Autocast rounds the network's layers, never the DN of the interpolated MS."""
    net, batch = small(name), batch_of(h=8, w=8)

    with torch.no_grad():
        exact = net(batch)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rounded = net(batch)

    assert torch.float32 == rounded.dtype
    assert float((rounded - exact).abs().mean()) < 0.03 * float(exact.std())


def test_checkpoints_bring_back_bits_and_sizes(name, tmp_path):
    """From the sizes a checkpoint records, and nothing else."""
    sizes = {**MODELS[name].sizes, **SMALL.get(name, {}), "bands": 3, "full_scale": 1023}
    net, batch = build_model(name, **sizes).eval(), batch_of(3)
    info = CheckpointInfo(model=name, sizes=sizes, training={})

    save_checkpoint(tmp_path / "w.safetensors", net, info)
    loaded, found = load_checkpoint(tmp_path / "w.safetensors")

    assert info == found
    with torch.no_grad():
        assert torch.equal(net(batch), loaded(batch))
