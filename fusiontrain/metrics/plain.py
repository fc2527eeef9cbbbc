"""Indices that every field of imaging has: RMSE, PSNR, SSIM, CC, and the Laplacian SCC."""

import torch
import torch.nn.functional as F
from torch import Tensor

from fusiontrain.errors import ShapeError
from fusiontrain.metrics.pair import as_pair

_RADIUS, _SIGMA, _K1, _K2 = 5, 1.5, 0.01, 0.03


def rmse(gt: Tensor, fused: Tensor) -> Tensor:
    """Root mean square error over all bands, DN, () or (N,)."""
    x, y = as_pair(gt, fused)
    value = ((x - y) ** 2).mean((1, 2, 3)).sqrt()
    return value[0] if gt.ndim == 3 else value


def psnr(gt: Tensor, fused: Tensor, *, bits: int) -> Tensor:
    """Peak signal-to-noise ratio, dB, () or (N,): of full scale, 2**bits - 1, over RMSE."""
    return 20 * torch.log10((2**bits - 1) / rmse(gt, fused))


def cc(gt: Tensor, fused: Tensor) -> Tensor:
    """Pearson correlation, mean over bands, () or (N,). A flat band counts as 0."""
    x, y = (image - image.mean((-2, -1), keepdim=True) for image in as_pair(gt, fused))
    bottom = (x * x).sum((-2, -1)).sqrt() * (y * y).sum((-2, -1)).sqrt()
    value = ((x * y).sum((-2, -1)) / bottom.where(bottom > 0, 1)).mean(1)
    return value[0] if gt.ndim == 3 else value


def scc_laplacian(gt: Tensor, fused: Tensor) -> Tensor:
    """Correlation of the bands' Laplacians, mean over bands, () or (N,); 1 is perfect.

    Eight-neighbour Laplacian, one pixel of rim left out. Not the toolbox's SCC.
    Source: Zhou, Civco and Silander 1998, IJRS 19(4):743-757.
    """
    x, y = as_pair(gt, fused)
    kernel = x.new_full((3, 3), -1.0)
    kernel[1, 1] = 8
    edges = [
        F.conv2d(image.reshape(-1, 1, *image.shape[-2:]), kernel[None, None]) for image in (x, y)
    ]
    first, second = (e.reshape(*x.shape[:2], *e.shape[-2:]) for e in edges)
    value = cc(first, second)
    return value[0] if gt.ndim == 3 else value


def ssim(gt: Tensor, fused: Tensor, *, bits: int) -> Tensor:
    """Structural similarity, mean over 'valid' positions and bands, () or (N,); 1 is perfect.

    11x11 Gaussian window of sigma 1.5, population moments, range 2**bits - 1.
    Source: Wang et al. 2004, IEEE TIP 13(4):600-612.
    """
    x, y = as_pair(gt, fused)
    if min(x.shape[-2:]) < 2 * _RADIUS + 1:
        raise ShapeError(f"SSIM needs {2 * _RADIUS + 1} pixels a side; got {tuple(x.shape[-2:])}")
    t = torch.arange(-_RADIUS, _RADIUS + 1, dtype=x.dtype, device=x.device)
    line = torch.exp(-0.5 * (t / _SIGMA) ** 2)
    line = line / line.sum()

    def smooth(image: Tensor) -> Tensor:
        flat = image.reshape(-1, 1, *image.shape[-2:])
        seen = F.conv2d(F.conv2d(flat, line[None, None, :, None]), line[None, None, None])
        return seen.reshape(*image.shape[:2], *seen.shape[-2:])

    mx, my = smooth(x), smooth(y)
    vx, vy, cov = smooth(x * x) - mx * mx, smooth(y * y) - my * my, smooth(x * y) - mx * my
    c1, c2 = ((k * (2**bits - 1)) ** 2 for k in (_K1, _K2))
    quality = (2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    value = quality.mean((1, 2, 3))
    return value[0] if gt.ndim == 3 else value
