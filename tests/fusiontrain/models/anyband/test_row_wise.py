"""The default network strip by strip against its layers one after the other."""

from dataclasses import replace

import pytest
import torch

from fusiontrain.imaging.injection import (
    injection_images,
    injection_moments,
    statistics_from_moments,
)
from fusiontrain.imaging.pan_batch import PanBatch
from fusiontrain.models.anyband import default_network, row_wise
from fusiontrain.models.registry import build_model


def batch_of(bands, h, w, ratio, *, samples=1, phase="aligned", alike=False) -> PanBatch:
    rng = torch.Generator().manual_seed(bands)
    pan = torch.rand(samples, 1, h * ratio, w * ratio, generator=rng) * 900 + 100
    ms = torch.rand(samples, bands, h, w, generator=rng) * 700 + 80
    mtf, softness = torch.rand(2, samples, bands, generator=rng) * 0.4 + 0.15
    if alike:
        mtf, softness = (gains[:, :1].expand_as(gains) for gains in (mtf, softness))
    batch = PanBatch(ms=ms, pan=pan, ratio=ratio, mtf=mtf, softness=softness, phase=phase)
    moments = injection_moments(injection_images(batch))
    return replace(batch, statistics=statistics_from_moments(moments))


@pytest.fixture(scope="module", params=["anyband", "anyband-scene", "anyband-sensor"])
def net(request):
    torch.manual_seed(1)
    net = build_model(request.param, width=8, blocks=2).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape))
    return net


def by_layers(net, batch, monkeypatch):
    monkeypatch.setattr(default_network, "computes_by_rows", lambda _: False)
    return net(batch)


@pytest.mark.parametrize("strip", [1, 2**11, 2**20], ids=["a row", "some rows", "all"])
@pytest.mark.parametrize(
    ("bands", "h", "w", "ratio", "how"),
    [
        (4, 20, 17, 4, {}),
        (4, 20, 17, 4, {"alike": True}),
        (1, 9, 12, 4, {"phase": "toolbox"}),
        (3, 13, 7, 3, {}),
        (2, 9, 11, 6, {"samples": 2, "phase": "toolbox"}),
        (8, 5, 3, 2, {"samples": 2, "alike": True}),
    ],
    ids=str,
)
def test_strips_are_the_layers(net, monkeypatch, strip, bands, h, w, ratio, how):
    """Every ratio and phase, sizes that are multiples of nothing, several samples."""
    monkeypatch.setattr(row_wise, "STRIP", strip)
    batch = batch_of(bands, h, w, ratio, **how)
    everything = slice(0, h * ratio), slice(0, w * ratio)

    with torch.inference_mode():
        strips = net.forward_part(batch, *everything)
        again = net(batch)
        whole = by_layers(net, batch, monkeypatch)

    # A thousandth of a DN: float32 sums in another order.
    torch.testing.assert_close(strips, whole, rtol=0, atol=2e-3)
    torch.testing.assert_close(again, whole, rtol=0, atol=2e-3)


def test_a_part_is_cut_from_the_whole(net, monkeypatch):
    """What the layers leave out beyond the part does not reach it."""
    batch = batch_of(3, 40, 44, 4)
    rows, columns = slice(48, 96), slice(0, 100)

    with torch.inference_mode():
        part = net.forward_part(batch, rows, columns)
        whole = by_layers(net, batch, monkeypatch)

    assert part.shape == (1, 3, 48, 100)
    torch.testing.assert_close(part, whole[..., rows, columns], rtol=0, atol=2e-3)


def test_gradients_pass_through_the_layers(net):
    """With gradients the layers run one after the other: strips have none."""
    part = net.forward_part(batch_of(2, 6, 6, 4), slice(0, 8), slice(0, 8))

    assert part.requires_grad


def test_bf16_changes_the_features_alone(net):
    """Half precision of the features moves the correction by less than a hundredth of it."""
    batch = batch_of(4, 20, 20, 4)
    everything = slice(0, 80), slice(0, 80)
    untrained = type(net)(width=8, blocks=2)

    with torch.inference_mode():
        exact, start = (one.forward_part(batch, *everything) for one in (net, untrained))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rounded, same = (one.forward_part(batch, *everything) for one in (net, untrained))

    torch.testing.assert_close(start, same, rtol=0, atol=1e-2)
    correction = float((exact - start).square().mean().sqrt())
    assert 0 < float((rounded - exact).square().mean().sqrt()) < 0.01 * correction
