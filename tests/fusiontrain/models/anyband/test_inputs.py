"""Inputs of any-band networks against the plain form: every image whole, one after the other."""

from dataclasses import fields, replace

import pytest
import torch

from fusiontrain.imaging.filters import blur, upsample
from fusiontrain.imaging.injection import (
    TINY,
    injection_images,
    injection_moments,
    statistics_from_moments,
)
from fusiontrain.imaging.pan_batch import PanBatch
from fusiontrain.models.anyband.inputs import make_inputs
from fusiontrain.models.registry import build_model

# (bands, h, w, ratio, samples, phase)
SHAPES = [
    (4, 8, 6, 4, 2, "aligned"),
    (3, 8, 6, 4, 1, "toolbox"),
    (1, 8, 7, 4, 1, "aligned"),
    (3, 7, 9, 3, 1, "aligned"),
    (5, 9, 7, 2, 2, "aligned"),
    (2, 5, 5, 6, 1, "toolbox"),
]


def batch_of(bands=4, h=8, w=6, ratio=4, size=1, phase="aligned", dtype=torch.float64) -> PanBatch:
    rng = torch.Generator().manual_seed(bands)
    pan = torch.rand(size, 1, h * ratio, w * ratio, generator=rng, dtype=dtype) * 900 + 100
    ms = torch.rand(size, bands, h, w, generator=rng, dtype=dtype) * 700 + 80
    mtf, softness = torch.rand(2, size, bands, generator=rng, dtype=dtype) * 0.5 + 0.1
    return PanBatch(ms=ms, pan=pan, ratio=ratio, mtf=mtf, softness=softness, phase=phase)


def plain_statistics(batch):
    """Of whole images in float64, by the definitions of means and covariances."""
    images = injection_images(batch)
    up, low, soft = (x.double().flatten(2) for x in (images.up, images.pan_low, images.pan_soft))
    pan = batch.pan.double().flatten(2)

    def covariance(a, b):
        return (a * b).mean(-1) - a.mean(-1) * b.mean(-1)

    against, coarse = covariance(low, soft), []
    for bands, seen in zip(batch.ms.double(), images.pan_low_ms.double().mean(1), strict=True):
        table = torch.cov(torch.cat([bands.flatten(1), seen.reshape(1, -1)]), correction=0)
        among, with_pan = table[:-1, :-1], table[:-1, -1]
        held = 1e-4 * among.diagonal().mean() + TINY
        coarse.append(torch.linalg.solve(among + held * torch.eye(len(among)), with_pan))
    std = covariance(up, up).sqrt()
    return {
        "ms_mean": up.mean(-1),
        "ms_std": std,
        "pan_mean": pan.mean(-1).expand_as(std),
        "pan_std": covariance(pan, pan).sqrt().expand_as(std),
        "gain": torch.where(against > TINY, covariance(up, soft) / against, 0.0),
        "weights": torch.stack(coarse),
        "dark": torch.maximum(batch.ms.double().amin((-2, -1)), up.mean(-1) - 3 * std),
    }


def plain_images(batch, stats):
    """The nine images of each band as their definitions write them, (B, C, 9, H, W)."""
    images = injection_images(batch)
    mean, std, pan_mean, pan_std, gain, weights, dark = (
        getattr(stats, name)[..., None, None].to(batch.ms)
        for name in ("ms_mean", "ms_std", "pan_mean", "pan_std", "gain", "weights", "dark")
    )
    detail, added = images.detail / std, []
    for sigma in (1.0, 2.5):
        around, ms, low = torch.full_like(batch.mtf, sigma), batch.ms, images.pan_low_ms
        m, p, mp, pp = (blur(image, around) for image in (ms, low, ms * low, low * low))
        prior = 0.02 * pan_std**2
        local = (mp - m * p + prior * gain) / ((pp - p * p).clamp_min(0) + prior)
        added.append((upsample(local, batch.ratio, batch.phase) - gain) * detail)
    above = images.up - dark
    expected = gain * (images.pan_low - pan_mean) + mean - dark
    added.append(((above / expected.clamp_min(0.1 * std)).clamp(0, 4) - 1) * gain * detail)
    bands = (weights * (images.up - mean)).sum(1, keepdim=True)
    darkest = (weights * (dark - mean)).sum(1, keepdim=True)
    scaled = above.clamp_min(0) / (bands - darkest).clamp_min(0.1 * pan_std)
    added.append((torch.minimum(scaled, 4 * std / pan_std) - gain) * detail)
    added.append(gain * (images.pan_low - pan_mean - bands) / std)
    first = [(images.up - mean) / std, images.detail / pan_std]
    first += [(batch.pan - images.pan_soft) / pan_std, (images.pan_low - pan_mean) / pan_std]
    return torch.stack([*first, *(one.clamp(-4, 4) for one in added)], 2)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("given", [False, True], ids=["own statistics", "given statistics"])
def test_inputs_are_their_definitions(shape, given):
    """All images and statistics; the batch's own statistics, or those of another batch."""
    batch = batch_of(*shape)
    if given:
        other = replace(batch, ms=batch.ms * 1.3 + 20, pan=batch.pan * 0.8)
        batch = replace(
            batch, statistics=statistics_from_moments(injection_moments(injection_images(other)))
        )

    inputs = make_inputs(batch)

    B, C = batch.mtf.shape
    shown = inputs.image(inputs.stem_images.flatten(1, 2)).reshape(B, C, 9, *batch.pan.shape[2:])
    torch.testing.assert_close(shown, plain_images(batch, inputs.stats), rtol=1e-9, atol=1e-9)
    if not given:
        for name, value in plain_statistics(batch).items():
            torch.testing.assert_close(getattr(inputs.stats, name), value, rtol=1e-6, atol=1e-5)


def test_float32_keeps_its_digits():
    """DN far from zero beside a small spread: what float64 sees, to a part in ten thousand."""
    exact = batch_of(4, 16, 16)
    exact = replace(exact, ms=exact.ms * 0.05 + 9000, pan=exact.pan * 0.05 + 9000)
    rounded = replace(
        exact, **{k: getattr(exact, k).float() for k in ("ms", "pan", "mtf", "softness")}
    )

    seen, expected = make_inputs(rounded), make_inputs(exact)

    for field in fields(expected.stats):
        ours, theirs = (getattr(inputs.stats, field.name).double() for inputs in (seen, expected))
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4, msg=field.name)
    error = (seen.stem_images.double() - expected.stem_images).square().mean().sqrt()
    assert float(error) < 1e-3


@pytest.mark.parametrize("bands", [1, 3])
def test_band_slices_are_all_bands_at_once(bands, monkeypatch):
    """Without gradients the stem processes slices of the bands."""
    from fusiontrain.models.anyband import base

    torch.manual_seed(1)
    net, batch = build_model("anyband", width=8, blocks=1).double(), batch_of(bands, size=2)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
        monkeypatch.setattr(base, "CACHED_PIXELS", 1)
        turns = net(batch)

    torch.testing.assert_close(turns, net(batch).detach())
