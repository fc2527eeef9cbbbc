import numpy as np
import pytest
import torch

from fusiontrain.errors import SceneError
from fusiontrain.imaging.filters import degrade
from fusiontrain.imaging.guides import fit_guides, guide_moments
from fusiontrain.imaging.local_guides import (
    RIDGE,
    SPREAD,
    _factor,
    _solved,
    _window,
    local_helps,
    local_pan,
)
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


def test_local_weights_are_found_where_the_relation_changes_from_side_to_side():
    """A band that is one guide on the left, another on the right; against the scene's weights."""
    guides = sharp_bands(3, 128)
    sharp = guides[:1].clone()
    sharp[..., 64:] = 2 * guides[1:2, :, 64:] - 1000
    ms, mtf = lowered_exactly(sharp), torch.tensor([0.3])
    fit = fit_guides(moments_of(ms, guides))
    pan = local_pan(ms, guides, fit, mtf, RATIO)
    error = (pan - sharp)[..., 8:-8, :].std()
    assert error < 0.4 * (fit.pan(guides) - sharp)[..., 8:-8, :].std()
    every = torch.ones(64, 64, dtype=torch.bool)
    assert local_helps(ms, guides, mtf, RATIO, every) == (True,)


def test_local_weights_are_ridge_regressions_in_a_window():
    """At one MS pixel, by numpy's solve of the weighted normal equations."""
    guides, ms = sharp_bands(2, 96), lowered(sharp_bands(1, 96, seed=3), RATIO)
    fit, mtf = fit_guides(moments_of(ms, guides)), torch.tensor([0.3])
    size = fit.guide_std.numpy()
    low = lowered_exactly(guides).double().numpy() - fit.guide_mean.numpy()[:, None, None]
    low = low / size[:, None, None]
    rest = ms[0].double().numpy() - fit.pan(lowered_exactly(guides))[0].double().numpy()
    rows, columns = np.mgrid[:48, :48]
    window = np.exp(-((rows - 20) ** 2 + (columns - 30) ** 2) / (2 * SPREAD**2))
    window = (window / window.sum()).ravel()
    x, y = low.reshape(2, -1), rest.ravel()
    x = x - (x @ window)[:, None]
    y = y - y @ window
    wanted = np.linalg.solve((x * window) @ x.T + RIDGE * np.eye(2), (x * window) @ y)
    torch_low = torch.from_numpy(low).float()
    means = _window(torch_low)
    right = _window(torch_low * torch.from_numpy(rest).float())
    right = right - means * _window(torch.from_numpy(rest).float()[None])[0]
    found = _solved(_factor(torch_low, means), right)[:, 20, 30]
    np.testing.assert_allclose(found.numpy(), wanted, rtol=2e-2)
    assert local_pan(ms, guides, fit, mtf, RATIO).shape == (1, 96, 96)


def test_a_window_too_small_says_no_to_local_weights():
    guides, ms = sharp_bands(2, 32), lowered(sharp_bands(1, 32), RATIO)
    every = torch.ones(16, 16, dtype=torch.bool)
    assert local_helps(ms, guides, torch.tensor([0.3]), RATIO, every) == (False,)
