import numpy as np
import pytest
import torch

from fusiontrain.imaging.filters import degrade
from fusiontrain.imaging.level_correction import (
    SIDE,
    GuidedImages,
    Scales,
    corrected,
    fit_correction,
    level_moments,
)
from tests.support.guided_scenes import sharp_bands

BANDS, GUIDES = 2, 3
MTF = torch.tensor([0.3, 0.4])  # relative to the bands


def images_of(side=96, seed=0):
    bands = sharp_bands(GUIDES + 3 * BANDS, side, seed)
    fused, pan, up = bands[GUIDES:].reshape(3, BANDS, side, side)
    return GuidedImages(fused=fused, pan=pan, up=up, guides=bands[:GUIDES])


def scales_of(images):
    return Scales(
        guide_mean=images.guides.mean((1, 2)),
        guide_std=images.guides.std((1, 2)),
        band_mean=images.fused.mean((1, 2)),
    )


def fitted(images, truth):
    side = truth.shape[-1]
    scales = scales_of(images)
    valid = torch.ones(side, side, dtype=torch.bool)
    moments = level_moments(images, truth, scales, valid=valid, origin=(0, 0), shape=(side, side))
    return fit_correction(moments, scales, MTF)


def neighbourhood_mix(image, kernel):
    """Sum of an image moved by whole pixels, edges mirrored: numpy's, one move at a time."""
    edge = SIDE // 2
    padded, out = np.pad(image, edge, mode="reflect"), np.zeros_like(image)
    for (down, along), weight in np.ndenumerate(kernel):
        out += weight * padded[down : down + image.shape[0], along : along + image.shape[1]]
    return out


def test_a_rest_made_of_the_regressors_is_found():
    """Guides and the band's images around a pixel, and a product of guides."""
    images, rng = images_of(), np.random.default_rng(1)
    kernels = rng.normal(size=(2, SIDE, SIDE)) / 10
    z = (images.guides - images.guides.mean((1, 2), True)) / images.guides.std((1, 2), keepdim=True)
    rest = neighbourhood_mix(images.guides[1].double().numpy(), kernels[0])
    rest += neighbourhood_mix(images.pan[0].double().numpy(), kernels[1])
    rest += 20 * (z[0] * z[2]).clamp(-9, 9).double().numpy() + 7
    truth = images.fused.clone()
    truth[0] += torch.from_numpy(rest).float()
    correction = fitted(images, truth)
    made = correction.rest(images)[0].double().numpy()
    assert np.abs(made - rest).std() < 0.03 * rest.std()
    assert correction.share[0] > 0.99
    assert not correction.used[1]  # nothing was left of it
    assert correction.rest(images)[1].abs().max() == 0


def test_noise_is_not_fitted():
    images = images_of()
    noise = torch.randn(images.fused.shape, generator=torch.Generator().manual_seed(2))
    assert fitted(images, images.fused + 50 * noise) is None


def test_too_few_pixels_teach_nothing():
    images = images_of(side=24)
    assert fitted(images, images.fused + images.guides[:BANDS]) is None


def test_weights_and_share_are_those_of_numpy():
    """Ridge regression in float64 on three folds of blocks, its square error on the fourth."""
    images = images_of(side=64, seed=3)
    noise = torch.randn(64, 64, generator=torch.Generator().manual_seed(4))
    truth = images.fused.clone()
    truth[0] += 0.2 * images.guides[0] + 30 * noise
    correction = fitted(images, truth)
    assert correction is not None
    edge, columns = SIDE // 2, [np.ones(64 * 64)]
    scales = scales_of(images)
    z = scales.guides(images).double().numpy()
    own = (
        torch.stack([images.up[0], images.fused[0], images.pan[0]]) - scales.band_mean[0]
    ).double()
    for image in z:
        columns += moves(image, edge)
    columns += [(z[a] * z[b]).clip(-9, 9).ravel() for a in range(GUIDES) for b in range(a, GUIDES)]
    for image in own.numpy():
        columns += moves(image, edge)
    x, y = np.stack(columns, 1), (truth - images.fused)[0].double().numpy().ravel()
    place = np.arange(64) // 16 % 2
    fold = (2 * place[:, None] + place).ravel()
    error = sum(
        np.square(y[fold == f] - x[fold == f] @ ridge(x[fold != f], y[fold != f])).sum()
        for f in range(4)
    )
    assert float(correction.share[0]) == pytest.approx(1 - error / np.square(y).sum(), abs=2e-3)
    made = correction.rest(images)[0].double().numpy().ravel()
    np.testing.assert_allclose(made, x @ ridge(x, y), atol=0.05)


def moves(image, edge):
    padded = np.pad(image, edge, mode="reflect")
    return [padded[i : i + 64, j : j + 64].ravel() for i in range(SIDE) for j in range(SIDE)]


def ridge(x, y):
    """As augmented least squares; the first regressor, a one, is not shrunk."""
    shrink = np.sqrt(3e-4 * x.var(0) * len(x))
    shrink[0] = 0
    return np.linalg.lstsq(np.vstack([x, np.diag(shrink)]), np.append(y, 0 * shrink), rcond=None)[0]


def test_what_is_corrected_gives_back_the_ms_and_missing_pixels_stay():
    images = images_of()
    truth = images.fused + 0.3 * images.guides[:BANDS]
    correction = fitted(images, truth)
    ms = degrade(truth[None], MTF[None], 2)[0]
    valid = torch.ones(96, 96, dtype=torch.bool)
    valid[:20, :30] = False
    made = corrected(images, correction, ms, valid, 2)
    lost = (ms - degrade(made[None], MTF[None], 2)[0])[:, 20:, 20:]
    before = (ms - degrade(images.fused[None], MTF[None], 2)[0])[:, 20:, 20:]
    assert lost.std() < 0.05 * before.std()
    torch.testing.assert_close(made[:, :22, :32], images.fused[:, :22, :32], rtol=0, atol=0)
