"""Indices of every field, against the libraries that every field uses."""

import numpy as np
import pytest
import torch
from scipy.signal import convolve2d
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from fusiontrain.errors import ShapeError
from fusiontrain.metrics import cc, psnr, rmse, scc_laplacian, ssim


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    gt = rng.integers(0, 2048, (3, 40, 48)).astype(float)
    return gt, np.clip(gt + rng.normal(0, 90, gt.shape), 0, 2047)


def both(images):
    return (torch.from_numpy(image) for image in images)


def test_psnr_is_scikit_images(images):
    """Full scale is 2047 at 11 bits."""
    expected = peak_signal_noise_ratio(*images, data_range=2047)

    assert expected == pytest.approx(float(psnr(*both(images), bits=11)), rel=1e-12)
    assert np.sqrt(((images[0] - images[1]) ** 2).mean()) == pytest.approx(
        float(rmse(*both(images)))
    )


def test_ssim_is_scikit_images(images):
    """Gaussian window, population moments, as in the paper."""
    expected = structural_similarity(
        *images,
        channel_axis=0,
        data_range=2047,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )

    assert expected == pytest.approx(float(ssim(*both(images), bits=11)), rel=1e-9)


def test_correlations_are_numpys(images):
    """Of the bands, and of their Laplacians by scipy."""
    gt, fused = images
    kernel = np.array([[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]])

    plain = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(gt, fused, strict=True)]
    edges = [
        np.corrcoef(*(convolve2d(x, kernel, "valid").ravel() for x in pair))[0, 1]
        for pair in zip(gt, fused, strict=True)
    ]

    assert np.mean(plain) == pytest.approx(float(cc(*both(images))), rel=1e-12)
    assert np.mean(edges) == pytest.approx(float(scc_laplacian(*both(images))), rel=1e-12)


def test_perfect_and_flat_images(images):
    """No NaN from a flat band; the best value for the same image; infinite PSNR."""
    gt, _ = both(images)
    flat = torch.full_like(gt, 7.0)

    assert 0 == float(rmse(gt, gt))
    for perfect in (cc(gt, gt), ssim(gt, gt, bits=11), scc_laplacian(gt, gt)):
        assert 1 == pytest.approx(float(perfect))
    assert torch.isinf(psnr(gt, gt, bits=11))
    assert 0 == float(cc(flat, gt)) == float(scc_laplacian(flat, gt))
    assert torch.isfinite(ssim(flat, flat, bits=11))


def test_batches(images):
    """(N, C, H, W) gives N values."""
    gt, fused = both(images)
    stacked = torch.stack([gt, fused]), torch.stack([fused, fused])

    for index in (rmse, cc, scc_laplacian):
        torch.testing.assert_close(index(*stacked)[0], index(gt, fused))
        assert (2,) == index(*stacked).shape
    assert (2,) == ssim(*stacked, bits=11).shape == psnr(*stacked, bits=11).shape
    with pytest.raises(ShapeError, match="11 pixels"):
        ssim(gt[:, :8], fused[:, :8], bits=11)
