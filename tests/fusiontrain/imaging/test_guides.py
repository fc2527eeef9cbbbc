import numpy as np
import pytest
import torch

from fusiontrain.errors import SceneError
from fusiontrain.imaging.filters import degrade
from fusiontrain.imaging.guides import fit_guides, guide_moments
from tests.support.guided_scenes import lowered, sharp_bands

RATIO = 2


def moments_of(ms, guides, mtf=None, part=None, ratio=RATIO):
    h, w = ms.shape[1:]
    rows, columns = part or (slice(0, h), slice(0, w))
    return guide_moments(
        ms,
        guides,
        torch.full((len(ms),), 0.3) if mtf is None else mtf,
        ratio,
        about=(torch.full((len(guides),), 1400.0), torch.full((len(ms),), 1500.0)),
        valid=torch.ones(h, w, dtype=torch.bool),
        core=(rows, columns),
        origin=(rows.start, columns.start),
        shape=(h, w),
    )


def test_a_band_that_is_a_mix_of_guides_gives_the_mix():
    guides, mixes = sharp_bands(4, 128), torch.tensor([[0.2, 0.1, 0.5, -0.3], [0.0, 0.7, 0.0, 0.4]])
    sharp = torch.einsum("cg,ghw->chw", mixes, guides) + torch.tensor([300.0, 20.0])[:, None, None]
    fit = fit_guides(moments_of(lowered_exactly(sharp), guides))
    torch.testing.assert_close(fit.weights.float(), mixes, atol=1e-3, rtol=0)
    torch.testing.assert_close(fit.pan(guides), sharp, atol=0.6, rtol=0)
    assert fit.r2.min() > 0.99999
    assert fit.sources == ("synthesis",) * 2


def lowered_exactly(bands):
    return degrade(bands[None], torch.full((1, len(bands)), 0.3), RATIO)[0]


def test_r2_is_of_blocks_not_fitted():
    """By numpy's least squares on the pixels of three folds, scored on the fourth."""
    bands = sharp_bands(5, 192, seed=2)
    guides, ms = bands[:4], lowered(bands[4:], RATIO)
    ms = ms + 200 * torch.randn(ms.shape, generator=torch.Generator().manual_seed(1))
    fit = fit_guides(moments_of(ms, guides))
    low = lowered_exactly(guides).double().flatten(1).numpy()
    design, band = np.concatenate([np.ones((1, low.shape[1])), low]).T, ms[0].flatten().numpy()
    place = np.arange(96) // 16 % 2
    fold = (2 * place[:, None] + place).flatten()
    error = 0.0
    for held in range(4):
        kept = fold != held
        solution = np.linalg.lstsq(design[kept], band[kept].astype(float), rcond=None)[0]
        error += np.square(band[~kept] - design[~kept] @ solution).sum()
    total = np.square(band - band.mean()).sum()
    assert float(fit.r2[0]) == pytest.approx(1 - error / total, abs=1e-6)
    assert 0.1 < float(fit.r2[0]) < 0.95


def test_windows_add_up_to_the_scene():
    bands = sharp_bands(6, 128)
    guides, ms = bands[:4], lowered(bands[4:], RATIO)
    mtf = torch.tensor([0.2, 0.35])
    whole = moments_of(ms, guides, mtf)
    left, right = ((slice(0, 64), slice(0, 24)), (slice(0, 64), slice(24, 64)))
    parts = moments_of(ms, guides, mtf, left) + moments_of(ms, guides, mtf, right)
    torch.testing.assert_close(parts.products, whole.products, rtol=1e-12, atol=1e-3)


def test_the_one_guide_that_explains_a_band_is_selected_where_the_others_are_noise():
    rng = torch.Generator().manual_seed(5)
    noise = torch.randn(6, 32, 32, generator=rng) * 300 + 1500
    band = sharp_bands(1, 32)
    guides = torch.cat([noise, band])
    ms = lowered_exactly(band) + 40 * torch.randn(1, 16, 16, generator=rng)
    fit = fit_guides(moments_of(ms, guides))
    assert fit.sources == ("selection",)
    assert fit.weights[0].nonzero().flatten().tolist() == [6]


def test_a_band_that_no_guide_explains_has_no_r2_and_hardly_a_pan():
    rng = torch.Generator().manual_seed(5)
    guides = sharp_bands(4, 256)
    ms = torch.randn(1, 128, 128, generator=rng) * 100 + 1500
    fit = fit_guides(moments_of(ms, guides))
    assert float(fit.r2[0]) < 0.02
    assert float(fit.pan(guides).std()) < 0.2 * float(ms.std())


def test_a_constant_band_gets_a_constant_pan():
    fit = fit_guides(moments_of(torch.full((1, 64, 64), 700.0), sharp_bands(4, 128)))
    assert float(fit.pan(sharp_bands(4, 128)).std()) < 1e-3
    assert float(fit.r2[0]) == 0


def test_too_few_pixels_are_named():
    with pytest.raises(SceneError, match="only 16 pixels"):
        fit_guides(moments_of(torch.ones(1, 4, 4), torch.ones(4, 8, 8)))
