"""What every index makes of nodata, NaN, and ranges that differ."""

import pytest
import torch

from fusiontrain import metrics as m
from fusiontrain.errors import MetricError, ShapeError
from tests.support.pairs import CONVENTIONS, FULL, REFERENCE, images, views


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

    computed = float(REFERENCE[name](*spoilt, valid=valid))

    if name == "scc":
        other = [torch.where(valid, image, 7.0) for image in (gt, fused)]
        assert computed == float(m.scc(*other, valid=valid))
        assert computed == pytest.approx(float(m.scc(gt[..., :32], fused[..., :32])), rel=2e-2)
        return
    if name == "q2n":  # whole blocks: the rows below 32 are mirrored, the columns from 32 invalid
        assert computed == pytest.approx(float(m.q2n(gt[..., :32], fused[..., :32])))
        return
    expected = float(REFERENCE[name](gt[..., :32], fused[..., :32]))
    assert expected == pytest.approx(computed, rel=1e-9)


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

    computed = float(FULL[name](spoilt[0], low, spoilt[1], valid=valid, convention=convention))

    clean = float(FULL[name](fused, ms, pan, valid=valid, convention=convention))
    assert clean == pytest.approx(computed, rel=1e-9, abs=1e-12)
    part = FULL[name](
        fused[..., :left], ms[..., : left // 4], pan[..., :left], convention=convention
    )
    assert float(part) == pytest.approx(computed, abs=0.05)


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
    if name == "q2n":  # the mirrored border holds nodata in every other block
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
    for scale in ({"bits": 11}, {"peak": 0.1}):
        with pytest.raises(MetricError, match="not of a scale"):
            m.psnr(gt / 2047, fused / 2047, **scale)
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

    counts = m.usable(gt, fused, hole(64, left=60))

    assert (64 * 64, 64 * 60, 62 * 60) == (
        counts.total,
        int(counts.pixels),
        int(counts.angles),
    )
    assert (2, 33 * 29, 54 * 50) == (
        int(counts.blocks),
        int(counts.windows),
        int(counts.bells),
    )
    assert 62 * 58 == int(counts.gradients)
    assert (2,) == m.usable(gt.expand(2, -1, -1, -1), fused.expand(2, -1, -1, -1)).angles.shape
