"""What every index obeys, whatever the images: laws, nodata, NaN, ranges, numpy twins."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fusiontrain import metrics as m
from fusiontrain.errors import MetricError, ShapeError

REFERENCE = {
    "sam": m.sam,
    "ergas": m.ergas,
    "q2n": m.q2n,
    "uqi": m.uqi,
    "scc": m.scc,
    "scc_laplacian": m.scc_laplacian,
    "cc": m.cc,
    "rmse": m.rmse,
    "psnr": lambda a, b, **k: m.psnr(a, b, bits=11, **k),
    "ssim": lambda a, b, **k: m.ssim(a, b, bits=11, **k),
}
PERFECT = {"sam": 0, "ergas": 0, "rmse": 0, "psnr": torch.inf}  # else 1
LOPSIDED = {"ergas", "q2n"}  # both are relative to gt
UNIT_FREE = ("sam", "ergas", "uqi", "scc", "scc_laplacian", "cc")
FULL = {
    "d_lambda": lambda f, ms, pan, **k: m.d_lambda(f, ms, **k),
    "d_lambda_k": lambda f, ms, pan, **k: m.d_lambda_k(f, ms, mtf=(0.3,) * ms.shape[-3], **k),
    "d_lambda_repro": lambda f, ms, pan, **k: m.d_lambda_repro(
        f, ms, mtf=(0.3,) * ms.shape[-3], **k
    ),
    "d_s": m.d_s,
    "qnr": m.qnr,
    "hqnr": lambda f, ms, pan, **k: m.hqnr(f, ms, pan, mtf=(0.3,) * ms.shape[-3], **k),
}
CONVENTIONS = ("toolbox", "aligned")


def images(bands, seed=0, side=40, noise=60.0):
    """A pair in DN: bands that share texture, whole numbers."""
    rng = torch.Generator().manual_seed(seed)
    shared = torch.rand(1, side, side, generator=rng, dtype=torch.float64)
    own = torch.rand(bands, side, side, generator=rng, dtype=torch.float64)
    gt = (200 + 900 * shared + 300 * own).round()
    error = noise * torch.randn(gt.shape, generator=rng, dtype=torch.float64)
    return gt, (gt + error).round().clamp(1, 2047)


def views(bands, seed=0, side=64):
    """Fused, MS and PAN."""
    gt, fused = images(bands, seed, side)
    ms = torch.nn.functional.avg_pool2d(gt, 4).round()
    return fused, ms, gt.mean(0, keepdim=True)


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
        seen = float(index(gain * gt, gain * fused))
        # An angle of zero is one only to the root of the rounding.
        assert float(index(gt, fused)) == pytest.approx(seen, rel=1e-9, abs=1e-6), name
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
        told = float(index(*scene, convention="aligned"))
        small = (image / 1e4 for image in scene)
        assert told == pytest.approx(float(index(*small, convention="aligned")), rel=1e-9)


@pytest.mark.parametrize("name", REFERENCE)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.int32])
def test_a_batch_is_its_images(name, dtype):
    """(N, C, H, W) gives N values, of any type of number."""
    pairs = [images(5, seed) for seed in range(3)]
    gt, fused = (torch.stack(side).to(dtype) for side in zip(*pairs, strict=True))

    seen = REFERENCE[name](gt, fused)

    expected = torch.stack([REFERENCE[name](*pair) for pair in pairs])
    torch.testing.assert_close(expected, seen, rtol=1e-7, atol=0)
    assert () == REFERENCE[name](*pairs[0]).shape


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("name", FULL)
def test_a_batch_of_scenes_is_its_scenes(name, convention):
    scenes = [views(3, seed) for seed in range(2)]
    stacked = [torch.stack(parts) for parts in zip(*scenes, strict=True)]

    seen = FULL[name](*stacked, convention=convention)

    expected = torch.stack([FULL[name](*scene, convention=convention) for scene in scenes])
    torch.testing.assert_close(expected, seen, rtol=1e-9, atol=1e-12)
    rho = torch.stack([m.d_rho(fused, pan) for fused, _, pan in scenes])
    torch.testing.assert_close(rho, m.d_rho(stacked[0], stacked[2]), rtol=1e-9, atol=0)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", ["sam", "ergas", "uqi", "ssim", "scc", "cc", "q2n"])
def test_pieces_do_not_show(name, threads, monkeypatch):
    """An image cut into many pieces scores as in one."""
    gt, fused = images(3, side=70)
    expected = REFERENCE[name](gt, fused)

    monkeypatch.setattr("fusiontrain.metrics.pieces._CPU", 200 // threads)

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


def hole(side=40, top=0, left=32):
    """Valid everywhere but for the columns from `left` on."""
    valid = torch.ones(side, side, dtype=torch.bool)
    valid[top:, left:] = False
    return valid


GARBAGE = (0.0, 65535.0, -1e6, torch.nan, torch.inf)


@pytest.mark.parametrize("garbage", GARBAGE)
@pytest.mark.parametrize("name", REFERENCE)
def test_what_lies_in_nodata_does_not_count(name, garbage):
    """The score is the valid part's; SCC alone sees the border that a cut makes."""
    gt, fused = images(4)
    valid = hole()
    spoilt = [torch.where(valid, image, garbage) for image in (gt, fused)]

    seen = float(REFERENCE[name](*spoilt, valid=valid))

    if name == "scc":
        other = [torch.where(valid, image, 7.0) for image in (gt, fused)]
        assert seen == float(m.scc(*other, valid=valid))
        assert seen == pytest.approx(float(m.scc(gt[..., :32], fused[..., :32])), rel=2e-2)
        return
    if name == "q2n":  # whole blocks: the rows below 32 are mirrored, the columns from 32 invalid
        assert seen == pytest.approx(float(m.q2n(gt[..., :32], fused[..., :32])))
        return
    expected = float(REFERENCE[name](gt[..., :32], fused[..., :32]))
    assert expected == pytest.approx(seen, rel=1e-9)


def test_scattered_nodata_is_left_out_pixel_by_pixel():
    """The pixelwise indices are those of the list of pixels that are left."""
    gt, fused = images(3)
    valid = torch.rand(40, 40, generator=torch.Generator().manual_seed(1)) > 0.3
    listed = [image[:, valid][:, None] for image in (gt, fused)]  # one row

    for name in ("sam", "ergas", "rmse", "psnr", "cc"):
        expected = float(REFERENCE[name](*listed))
        assert expected == pytest.approx(float(REFERENCE[name](gt, fused, valid=valid))), name


@pytest.mark.parametrize("garbage", [0.0, -9999.0, torch.nan])
@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("name", FULL)
def test_nodata_at_full_resolution(name, convention, garbage):
    """No garbage reaches a number, and the score stays near the valid part's."""
    # A block of the MS is 128 pixels of PAN.
    side, left = (384, 256) if name == "d_lambda_repro" else (128, 96)
    fused, ms, pan = views(3, side=side)
    valid = hole(side, left=left)
    spoilt = [torch.where(valid, image, garbage) for image in (fused, pan)]
    low = torch.where(valid[::4, ::4], ms, garbage)

    seen = float(FULL[name](spoilt[0], low, spoilt[1], valid=valid, convention=convention))

    clean = float(FULL[name](fused, ms, pan, valid=valid, convention=convention))
    assert clean == pytest.approx(seen, rel=1e-9, abs=1e-12)
    part = FULL[name](
        fused[..., :left], ms[..., : left // 4], pan[..., :left], convention=convention
    )
    assert float(part) == pytest.approx(seen, abs=0.05)


def test_masks_of_a_batch_are_its_images_own():
    gt, fused = (torch.stack(side) for side in zip(*(images(3, s) for s in (0, 1)), strict=True))
    valid = torch.stack([hole(), hole(left=36)])

    for index in REFERENCE.values():
        both = index(gt, fused, valid=valid)
        for i in range(2):
            assert float(index(gt[i], fused[i], valid=valid[i])) == pytest.approx(float(both[i]))


@pytest.mark.parametrize("name", REFERENCE)
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_nan_is_counted_and_refused(name, value):
    """In either image; `valid` that covers it makes it a number again."""
    gt, fused = images(3)
    for spoilt in (gt, fused):
        kept = spoilt[:, 2, 3:6].clone()
        spoilt[:, 2, 3:6] = value
        with pytest.raises(MetricError, match=r"3 of the pixels .* NaN or infinite"):
            REFERENCE[name](gt, fused)
        spoilt[:, 2, 3:6] = kept
    gt[:, 35:, 35:] = value
    valid = hole(top=35, left=35)
    if name == "q2n":  # the mirrored rim holds nodata in every other block
        valid, gt, fused = (image[..., :39, :39] for image in (valid, gt, fused))
    assert torch.isfinite(REFERENCE[name](gt, fused, valid=valid))


def test_nan_at_full_resolution_is_refused():
    fused, ms, pan = views(3)
    ms[0, 3, 4] = torch.nan

    for index in FULL.values():
        with pytest.raises(MetricError, match="1 of the pixels of MS"):
            index(fused, ms, pan)
    pan[0, 0, 0] = torch.nan
    with pytest.raises(MetricError, match="1 of the pixels of PAN"):
        m.d_rho(fused, pan)


def test_nothing_left_is_no_number():
    """No pixel, no window, no block."""
    gt, fused = images(3)
    nowhere = torch.zeros(40, 40, dtype=torch.bool)
    checker = torch.arange(40)[:, None] % 2 == torch.arange(40) % 2

    for index in REFERENCE.values():
        with pytest.raises(MetricError, match="no valid pixel is left"):
            index(gt, fused, valid=nowhere)
    for name in ("q2n", "uqi", "ssim", "scc", "scc_laplacian"):
        with pytest.raises(MetricError, match="without nodata is left"):
            REFERENCE[name](gt, fused, valid=checker)
    scene = views(3)
    grid = torch.arange(64) % 32 != 5
    with pytest.raises(MetricError, match="32x32 block without nodata"):
        m.d_s(*scene, valid=grid.expand(64, 64))
    with pytest.raises(ShapeError, match=r"valid must be bool, \(40, 40\)"):
        m.sam(gt, fused, valid=nowhere[1:])


def test_ranges_that_differ_are_named():
    """gt in DN, fused in 0..1, or the other way; a black or dark image is none of that."""
    gt, fused = images(3)
    indices = [REFERENCE[n] for n in ("ergas", "q2n", "uqi", "rmse", "psnr", "ssim")]

    for index in indices:
        with pytest.raises(MetricError, match=r"fused in 0\.\d+\.\.(1|0\.\d+)\n"):
            index(gt, fused / 2047)
        assert torch.isfinite(index(gt, torch.zeros_like(gt)))
    for told in ({"bits": 11}, {"peak": 0.1}):
        with pytest.raises(MetricError, match="not of a scale"):
            m.psnr(gt / 2047, fused / 2047, **told)
    with pytest.raises(MetricError, match=r"bits=.* or peak="):
        m.ssim(gt, fused)
    with pytest.raises(MetricError, match="aligned"):
        m.q2n(gt / 2047, fused / 2047)
    scaled = m.psnr(gt / 2047, fused / 2047, peak=1.0)
    assert float(m.psnr(gt, fused, bits=11)) == pytest.approx(float(scaled))


def test_counts_of_what_was_used():
    """Black pixels have no angle; blocks and windows need all their pixels."""
    gt, fused = images(3, side=64)
    gt[:, :2] = 0

    seen = m.usable(gt, fused, hole(64, left=60))

    assert (64 * 64, 64 * 60, 62 * 60) == (seen.total, int(seen.pixels), int(seen.angles))
    assert (2, 33 * 29, 54 * 50) == (int(seen.blocks), int(seen.windows), int(seen.bells))
    assert 62 * 58 == int(seen.gradients)
    assert (2,) == m.usable(gt.expand(2, -1, -1, -1), fused.expand(2, -1, -1, -1)).angles.shape


def test_sliding_sums_are_numpys():
    """Sums by doubling, of any side, against windows written out."""
    from numpy.lib.stride_tricks import sliding_window_view

    from fusiontrain.metrics.windows import box

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

    told = {} if window is None else {"window": window}
    assert 1 - np.mean(rho) == pytest.approx(float(m.d_rho(fused, pan, **told)), rel=1e-9)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_reprojection_knows_what_the_sensor_saw(convention):
    """An image whose MTF-degraded self is the MS has no spectral distortion left."""
    from fusiontrain.filters import degrade
    from fusiontrain.toolbox import mtf_filter, pick

    fused, _, _ = views(4, side=128)
    mtf = (0.34, 0.32, 0.3, 0.22)
    if convention == "toolbox":
        ms = pick(mtf_filter(fused[None], mtf, 4), 4)[0]
    else:
        ms = degrade(fused[None], torch.tensor([mtf], dtype=torch.float64), 4)[0]

    told = {"mtf": mtf, "convention": convention}
    assert 0 == pytest.approx(float(m.d_lambda_repro(fused, ms, **told)), abs=1e-9)
    assert float(m.d_lambda_repro(fused.flip(0), ms, **told)) > 0.05


def test_flat_reflectances_are_alike():
    """Rounding of a constant that no binary number holds is not texture."""
    flat = torch.full((3, 64, 64), 0.1, dtype=torch.float64)

    assert 1 == pytest.approx(float(m.q2n(flat, flat, convention="aligned")))
    assert 1 == pytest.approx(float(m.uqi(flat, flat)))
    assert 0 == float(m.cc(flat, flat)) == float(m.cc(flat, 2 * flat))
    assert 1 == float(m.d_rho(flat, flat[:1]))
    dim = 2 * 0.1 * 0.05 / (0.1**2 + 0.05**2)
    assert dim == pytest.approx(float(m.uqi(flat, flat / 2)))
