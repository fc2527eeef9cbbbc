"""Indices against the toolbox's own numbers, against slow references, and by identity."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fusiontrain.errors import MetricError, ShapeError
from fusiontrain.metrics import ergas, q2n, sam, scc
from tests.support.paths import GOLDEN

PAIRS = ("a8", "a4", "a3", "c4", "n4", "z8")


@pytest.mark.parametrize("pair", PAIRS)
def test_the_toolboxs_numbers(pair):
    """Under Octave: whole, odd sizes, odd bands, not integer, flat and zero blocks."""
    golden = np.load(GOLDEN / "indices_reduced.npz", allow_pickle=False)
    gt, fused = (
        torch.from_numpy(golden[f"{name}_{pair}"]).permute(2, 0, 1) for name in ("ref", "fus")
    )

    for value, name in (
        (q2n(gt, fused), "q2n"),
        (q2n(gt, fused, block=16), "q2n16"),
        (sam(gt, fused), "SAM"),
        (ergas(gt, fused, ratio=4), "ERGAS"),
        (scc(gt, fused), "SCC"),
    ):
        assert float(golden[f"{name}_{pair}"]) == pytest.approx(float(value), rel=1e-9), name


def images(bands=4, side=64, seed=0):
    rng = np.random.default_rng(seed)
    gt = rng.integers(50, 2000, (bands, side, side)).astype(float)
    return torch.from_numpy(gt), torch.from_numpy(gt + rng.normal(0, 60, gt.shape))


def test_quaternions_by_hand():
    """Q4 of one block by Hamilton's table: Alparone et al. 2004, GRSL 1(4):313-317."""
    gt, fused = images(side=32)
    gt, fused = gt.round(), fused.round().clamp(0)
    x, y = (a.reshape(4, -1).numpy() for a in (gt, fused))
    mean, std = x.mean(1, keepdims=True), x.std(1, ddof=1, keepdims=True)
    x, y = (x - mean) / std + 1, (y - mean) / std + 1  # the toolbox's normalisation

    def times(p, q):
        a, b, c, d = p
        e, f, g, h = q
        return np.array(
            [
                a * e - b * f - c * g - d * h,
                a * f + b * e + c * h - d * g,
                a * g - b * h + c * e + d * f,
                a * h + b * g - c * f + d * e,
            ]
        )

    def conj(q):
        return np.array([q[0], -q[1], -q[2], -q[3]])

    n = x.shape[1]
    mx, my = x.mean(1), y.mean(1)
    cross = times(x, conj(y)).mean(1) - times(mx, conj(my))
    variance = [(a**2).sum(0).mean() - (m**2).sum() for a, m in ((x, mx), (y, my))]
    unbiased = n / (n - 1)
    expected = (
        np.linalg.norm(unbiased * cross)
        * 2 / (unbiased * sum(variance))
        * 2 * np.linalg.norm(mx) * np.linalg.norm(my) / ((mx**2).sum() + (my**2).sum())
    )  # fmt: skip

    assert expected == pytest.approx(float(q2n(gt, fused)), rel=1e-9)


def test_sam_and_ergas_of_simple_images():
    """Orthogonal spectra are 90 degrees apart; an error of 10 % in all bands is ERGAS 2.5 at 4."""
    gt = torch.zeros(2, 8, 8)
    gt[0] = 100
    turned = gt.flip(0)

    assert 90 == pytest.approx(float(sam(gt, turned)))
    assert 0 == float(sam(gt, 3 * gt))
    flat = torch.full((3, 8, 8), 200.0)
    assert 2.5 == pytest.approx(float(ergas(flat, 1.1 * flat, ratio=4)))
    assert 5.0 == pytest.approx(float(ergas(flat, 1.1 * flat, ratio=2)))


def test_black_pixels_are_left_out_of_sam():
    """They have no angle; they make no NaN."""
    gt, fused = images()
    black = gt.clone()
    black[:, :8] = 0

    assert torch.isfinite(sam(black, fused))
    assert float(sam(gt[:, 8:], fused[:, 8:])) == pytest.approx(float(sam(black, fused)))
    with pytest.raises(MetricError, match="no pixel with two spectra"):
        sam(torch.zeros_like(gt), fused)


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 9), st.integers(0, 100), st.floats(0.3, 4))
def test_identities(bands, seed, scale):
    """Perfect is perfect; bands may change places; a common gain changes no ratio."""
    gt, fused = images(bands, 40, seed)
    order = torch.randperm(bands, generator=torch.Generator().manual_seed(seed))

    assert (0, 0) == (float(ergas(gt, gt)), pytest.approx(float(sam(gt, gt)), abs=1e-5))
    assert (1, 1) == (pytest.approx(float(q2n(gt, gt))), pytest.approx(float(scc(gt, gt))))
    for index in (ergas, sam, scc):
        assert float(index(gt, fused)) == pytest.approx(float(index(gt[order], fused[order])))
        assert float(index(gt, fused)) == pytest.approx(float(index(scale * gt, scale * fused)))


def test_a_batch_is_its_images():
    """(N, C, H, W) gives N values."""
    pairs = [images(seed=s) for s in range(3)]
    gt, fused = (torch.stack(side) for side in zip(*pairs, strict=True))

    for index in (ergas, sam, q2n, scc):
        expected = torch.stack([index(a, b) for a, b in pairs])
        torch.testing.assert_close(index(gt, fused), expected)


@pytest.mark.parametrize("index", [ergas, sam, q2n, scc])
def test_misfits_are_refused(index):
    """Expected and got."""
    with pytest.raises(ShapeError, match=r"\(4, 8, 8\)"):
        index(torch.zeros(4, 8, 8), torch.zeros(4, 8, 9))
    with pytest.raises(ShapeError):
        index(torch.zeros(8, 8), torch.zeros(8, 8))
