"""What every index obeys, whatever the images: laws, batches, pieces, numpy twins."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fusiontrain import metrics as m
from tests.support.pairs import (
    CONVENTIONS,
    FULL,
    LOPSIDED,
    PERFECT,
    REFERENCE,
    UNIT_FREE,
    images,
    views,
)

bands_and_seed = given(st.integers(1, 12), st.integers(0, 1000))
few = settings(deadline=None, max_examples=8)


@few
@bands_and_seed
def test_the_same_image_is_perfect(bands, seed):
    """At any number of bands."""
    gt, _ = images(bands, seed)

    for name, index in REFERENCE.items():
        assert PERFECT.get(name, 1) == pytest.approx(float(index(gt, gt)), abs=1e-12), name
    pan = gt[:1]
    assert 0 == pytest.approx(float(m.d_rho(pan.expand(bands, -1, -1), pan)), abs=1e-9)


@few
@bands_and_seed
def test_who_is_the_truth_matters_to_ergas_and_q2n_alone(bands, seed):
    gt, fused = images(bands, seed)

    for name, index in REFERENCE.items():
        there, back = float(index(gt, fused)), float(index(fused, gt))
        assert (there == pytest.approx(back, rel=1e-9)) is (name not in LOPSIDED), name


@few
@bands_and_seed
def test_bands_may_change_places(bands, seed):
    """Q2n: products of hypercomplex numbers depend on the order a little, from three bands on."""
    gt, fused = images(bands, seed)
    order = torch.randperm(bands, generator=torch.Generator().manual_seed(seed))

    for name, index in REFERENCE.items():
        tolerance = 5e-3 if name == "q2n" else 1e-9
        expected = float(index(gt, fused))
        assert expected == pytest.approx(float(index(gt[order], fused[order])), rel=tolerance), name


@few
@given(st.integers(1, 12), st.integers(0, 1000), st.floats(0.1, 20))
def test_a_common_gain_changes_no_ratio(bands, seed, gain):
    """Q2n as the values are; under the toolbox's rounding only nearly."""
    gt, fused = images(bands, seed)

    for name in UNIT_FREE:
        index = REFERENCE[name]
        computed = float(index(gain * gt, gain * fused))
        # An angle of zero is one only to the root of the rounding.
        assert float(index(gt, fused)) == pytest.approx(computed, rel=1e-9, abs=1e-6), name
    for convention, tolerance in (("aligned", 1e-9), ("toolbox", 1e-2)):
        expected = float(m.q2n(gt, fused, convention=convention))
        scaled = float(m.q2n(gain * gt, gain * fused, convention=convention))
        assert expected == pytest.approx(scaled, rel=tolerance)


@pytest.mark.parametrize("bands", [1, 3, 4, 8])
def test_reflectances_survive(bands):
    """DN over 10000: the same Q2n, UQI and D_lambda_K where nothing is rounded."""
    gt, fused = images(bands, side=64)
    scene = views(bands)

    assert float(m.q2n(gt, fused)) == pytest.approx(
        float(m.q2n(gt / 1e4, fused / 1e4, convention="aligned"))
    )
    for index in FULL.values():
        value = float(index(*scene, convention="aligned"))
        small = (image / 1e4 for image in scene)
        assert value == pytest.approx(float(index(*small, convention="aligned")), rel=1e-9)


@pytest.mark.parametrize("name", REFERENCE)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.int32])
def test_a_batch_is_its_images(name, dtype):
    """(N, C, H, W) gives N values, of any type of number."""
    pairs = [images(5, seed) for seed in range(3)]
    gt, fused = (torch.stack(side).to(dtype) for side in zip(*pairs, strict=True))

    computed = REFERENCE[name](gt, fused)

    expected = torch.stack([REFERENCE[name](*pair) for pair in pairs])
    torch.testing.assert_close(expected, computed, rtol=1e-7, atol=0)
    assert () == REFERENCE[name](*pairs[0]).shape


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("name", FULL)
def test_a_batch_of_scenes_is_its_scenes(name, convention):
    scenes = [views(3, seed) for seed in range(2)]
    stacked = [torch.stack(parts) for parts in zip(*scenes, strict=True)]

    computed = FULL[name](*stacked, convention=convention)

    expected = torch.stack([FULL[name](*scene, convention=convention) for scene in scenes])
    torch.testing.assert_close(expected, computed, rtol=1e-9, atol=1e-12)
    rho = torch.stack([m.d_rho(fused, pan) for fused, _, pan in scenes])
    torch.testing.assert_close(rho, m.d_rho(stacked[0], stacked[2]), rtol=1e-9, atol=0)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", ["sam", "ergas", "uqi", "ssim", "scc", "cc", "q2n"])
def test_pieces_do_not_show(name, threads, monkeypatch):
    """An image cut into many pieces scores as in one."""
    gt, fused = images(3, side=70)
    expected = REFERENCE[name](gt, fused)

    monkeypatch.setattr("fusiontrain.metrics.cache_chunks._CPU", 200 // threads)

    torch.testing.assert_close(expected, REFERENCE[name](gt, fused), rtol=1e-12, atol=0)


def test_nothing_given_is_changed():
    """In-place arithmetic stays with the indices' own arrays."""
    gt, fused = images(4, side=32)
    kept = gt.clone(), fused.clone()

    for index in REFERENCE.values():
        index(gt, fused)

    assert torch.equal(kept[0], gt)
    assert torch.equal(kept[1], fused)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", REFERENCE)
def test_the_gpu_agrees(name):
    gt, fused = images(5)

    torch.testing.assert_close(
        REFERENCE[name](gt, fused),
        REFERENCE[name](gt.cuda(), fused.cuda()).cpu(),
        rtol=1e-9,
        atol=0,
    )


def test_sliding_sums_are_numpys():
    """Sums by doubling, of any side, against windows written out."""
    from numpy.lib.stride_tricks import sliding_window_view

    from fusiontrain.metrics.sliding_windows import box

    image = np.random.default_rng(0).normal(size=(2, 37, 45))
    for side in (1, 2, 3, 5, 7, 8, 11, 31, 32, 37):
        expected = sliding_window_view(image, (side, side), (1, 2)).sum((-2, -1))
        np.testing.assert_allclose(box(torch.from_numpy(image), side), expected, atol=1e-10)


@pytest.mark.parametrize("window", [None, 5])
def test_local_correlation_is_numpys(window):
    """D_rho of Scarpa and Ciotola 2022: np.corrcoef of every window; flat ones count as 0."""
    fused, _, pan = views(2, side=20)
    fused[1, :10, :10] = 300.1
    side = window or 4

    rho = [
        0.0 if a.std() < 1e-9 else np.corrcoef(a.ravel(), b.ravel())[0, 1]
        for band in fused.numpy()
        for i in range(21 - side)
        for j in range(21 - side)
        for a, b in [(band[i : i + side, j : j + side], pan[0].numpy()[i : i + side, j : j + side])]
    ]

    options = {} if window is None else {"window": window}
    assert 1 - np.mean(rho) == pytest.approx(float(m.d_rho(fused, pan, **options)), rel=1e-9)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_reprojection_knows_what_the_sensor_saw(convention):
    """An image whose MTF-degraded self is the MS has no spectral distortion left."""
    from fusiontrain.imaging.filters import degrade
    from fusiontrain.imaging.reference_toolbox import decimate, mtf_filter

    fused, _, _ = views(4, side=128)
    mtf = (0.34, 0.32, 0.3, 0.22)
    if convention == "toolbox":
        ms = decimate(mtf_filter(fused[None], mtf, 4), 4)[0]
    else:
        ms = degrade(fused[None], torch.tensor([mtf], dtype=torch.float64), 4)[0]

    options = {"mtf": mtf, "convention": convention}
    assert 0 == pytest.approx(float(m.d_lambda_repro(fused, ms, **options)), abs=1e-9)
    assert float(m.d_lambda_repro(fused.flip(0), ms, **options)) > 0.05


def test_flat_reflectances_are_alike():
    """Rounding of a constant that no binary number holds is not texture."""
    flat = torch.full((3, 64, 64), 0.1, dtype=torch.float64)

    assert 1 == pytest.approx(float(m.q2n(flat, flat, convention="aligned")))
    assert 1 == pytest.approx(float(m.uqi(flat, flat)))
    assert 0 == float(m.cc(flat, flat)) == float(m.cc(flat, 2 * flat))
    assert 1 == float(m.d_rho(flat, flat[:1]))
    dim = 2 * 0.1 * 0.05 / (0.1**2 + 0.05**2)
    assert dim == pytest.approx(float(m.uqi(flat, flat / 2)))
