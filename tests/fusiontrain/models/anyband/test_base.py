"""What every any-band network must do, and the injection it starts from."""

from dataclasses import replace

import pytest
import torch

from fusiontrain.imaging.injection import (
    injection_images,
    injection_moments,
    statistics_from_moments,
)
from fusiontrain.imaging.ms_consistency import COLOURS, step_to_ms
from fusiontrain.imaging.pan_batch import PanBatch
from fusiontrain.models.registry import MODELS, build_model, find_model


def batch_of(bands=4, h=16, w=20, ratio=4, seed=0, size=1) -> PanBatch:
    rng = torch.Generator().manual_seed(seed)
    pan = torch.rand(size, 1, h * ratio, w * ratio, generator=rng) * 900 + 100
    ms = torch.rand(size, bands, h, w, generator=rng) * 700 + 80
    gains = torch.rand(2, size, bands, generator=rng) * 0.4 + 0.15
    return PanBatch(ms=ms, pan=pan, ratio=ratio, mtf=gains[0], softness=gains[1])


def perturbed(name: str) -> torch.nn.Module:
    """The model with perturbed weights: an untrained network's correction is zero."""
    torch.manual_seed(1)
    net = build_model(name, **find_model(name).sizes)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape))
    return net.double().eval()


def double(batch: PanBatch) -> PanBatch:
    return replace(
        batch,
        ms=batch.ms.double(),
        pan=batch.pan.double(),
        mtf=batch.mtf.double(),
        softness=batch.softness.double(),
    )


@pytest.fixture(params=sorted(name for name in MODELS if MODELS[name].any_band))
def name(request):
    return request.param


def test_it_starts_as_the_blur_matched_injection(name):
    """Untrained, it is MTF-GLP-FS on a PAN of matched softness."""
    batch = double(batch_of(5))
    images = injection_images(batch)
    gain = statistics_from_moments(injection_moments(images)).gain[..., None, None]

    with torch.no_grad():
        fused = build_model(name).double()(batch)

    injected = images.up + gain * images.detail
    smoothing = {"anyband-scene": COLOURS, "anyband-sensor": 0.0}.get(name)
    if smoothing is not None:
        injected = step_to_ms(injected, batch, smoothing=smoothing)
    torch.testing.assert_close(fused, injected)


def test_any_bands_any_ratio(name):
    """One set of weights; sizes that are multiples of nothing."""
    net = perturbed(name)
    for bands, ratio in ((1, 4), (3, 2), (8, 5), (13, 3), (8, 4), (3, 6), (32, 2)):
        with torch.no_grad():
            fused = net(double(batch_of(bands, 7, 9, ratio)))

        assert (1, bands, 7 * ratio, 9 * ratio) == fused.shape
        assert torch.isfinite(fused).all()


@pytest.mark.parametrize("ratio", [3, 4])
def test_a_scene_cut_in_two_fuses_as_one(name, ratio):
    """With the scene's statistics, pixels beyond the reach do not depend on the cut."""
    net, halo = perturbed(name), MODELS[name].halo(ratio)
    cut = (-(-(halo + 12) // (4 * ratio))) * 4  # MS pixels; on the grid of 4 PAN pixels
    batch = double(batch_of(2, 4, 2 * cut, ratio))
    batch = replace(
        batch, statistics=statistics_from_moments(injection_moments(injection_images(batch)))
    )
    at, far = cut * ratio, cut * ratio - halo
    halves = [
        replace(batch, ms=batch.ms[..., here], pan=batch.pan[..., fine])
        for here, fine in (
            (slice(None, cut), slice(None, at)),
            (slice(cut, None), slice(at, None)),
        )
    ]

    with torch.no_grad():
        whole, left, right = (net(part) for part in (batch, *halves))

    assert far >= 12
    # Below float32's precision at 500 DN: a scan's state decays, but not to zero.
    for one, other in ((whole[..., :far], left[..., :far]), (whole[..., -far:], right[..., -far:])):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)
    assert not torch.allclose(whole[..., at - 1], left[..., -1])  # the cut has an effect


def test_permuted_bands_give_permuted_output(name):
    """Bands are a set."""
    net, batch = perturbed(name), double(batch_of(6))
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    moved = replace(
        batch,
        ms=batch.ms[:, order],
        mtf=batch.mtf[:, order],
        softness=batch.softness[:, order],
    )

    with torch.no_grad():
        torch.testing.assert_close(net(batch)[:, order], net(moved))


@pytest.mark.parametrize(("gain", "offset"), [(3.7, 0.0), (1.0, 500.0), (0.25, -20.0)])
def test_gains_and_offsets_pass_through(name, gain, offset):
    """Inputs are normalized: other DN, the same image."""
    net, batch = perturbed(name), double(batch_of(4))
    changed = replace(batch, ms=batch.ms * gain + offset, pan=batch.pan * 1.9 + 40)

    with torch.no_grad():
        expected = net(batch) * gain + offset
        torch.testing.assert_close(net(changed), expected, rtol=1e-5, atol=1e-3)


def test_a_batch_is_its_samples(name):
    """Samples are independent."""
    net, batch = perturbed(name), double(batch_of(3, size=4))
    second = replace(
        batch,
        ms=batch.ms[1:2],
        pan=batch.pan[1:2],
        mtf=batch.mtf[1:2],
        softness=batch.softness[1:2],
    )

    with torch.no_grad():
        torch.testing.assert_close(net(batch)[1:2], net(second))


@pytest.mark.parametrize("axis", [0, 1], ids=["rows", "columns"])
def test_reach_bounds_the_receptive_field(name, axis):
    """Gradients of one output pixel: nothing beyond `reach`, and something just inside."""
    entry = MODELS[name]
    side = 2 * (entry.reach // 4) + 20
    batch = double(batch_of(2, *((side, 6) if axis == 0 else (6, side))))
    stats = statistics_from_moments(injection_moments(injection_images(batch)))
    batch = replace(
        batch,
        mtf=torch.full_like(batch.mtf, 0.05),
        softness=torch.full_like(batch.softness, 0.05),
        statistics=stats,
    )
    batch.pan.requires_grad_(True)
    batch.ms.requires_grad_(True)
    middle = side * 2
    place = (middle, 12) if axis == 0 else (12, middle)

    perturbed(name)(batch)[0, 0, place[0], place[1]].backward()

    # A scan's state decays without end: its rest beyond the reach must be below rounding.
    least = 1e-8 if entry.family == "mamba" else 0
    fine = batch.pan.grad[0, 0].abs().amax(1 - axis)
    coarse = batch.ms.grad[0].abs().amax((0, 2 - axis))
    rows, ms_rows = (torch.nonzero(g > least * g.max())[:, 0] for g in (fine, coarse))
    ends = (rows.min(), rows.max(), 4 * ms_rows.min(), 4 * ms_rows.max() + 3)
    reach = max(abs(int(end) - middle) for end in ends)
    assert entry.reach - 24 < reach <= entry.reach


def test_bf16_keeps_the_physics(name):
    """Autocast changes the layers alone: the injection stays exact."""
    batch = batch_of(4, 24, 24)
    net = perturbed(name).float()
    untrained = build_model(name)

    with torch.no_grad():
        exact, start = net(batch), untrained(batch)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rounded, same = net(batch), untrained(batch)

    torch.testing.assert_close(start, same, rtol=0, atol=1e-2)
    correction = (exact - start).pow(2).mean().sqrt()
    assert float((rounded - exact).pow(2).mean().sqrt()) < 0.02 * float(correction)


def test_a_flat_scene_stays_flat(name):
    """No division by a standard deviation of zero."""
    batch = double(batch_of(3))
    flat = replace(batch, ms=torch.full_like(batch.ms, 300), pan=torch.full_like(batch.pan, 500))

    with torch.no_grad():
        fused = perturbed(name)(flat)

    torch.testing.assert_close(fused, torch.full_like(fused, 300), atol=0.1, rtol=0)
