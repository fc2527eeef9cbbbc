"""SCC."""

import torch
import torch.nn.functional as F
from torch import Tensor

from fusiontrain.metrics.pair import as_pair


def scc(gt: Tensor, fused: Tensor) -> Tensor:
    """Spatial correlation coefficient, () or (N,): cosine of the images' Sobel magnitudes.

    The toolbox's form (Vivone et al. 2015, TGRS 53(5):2565-2586): one pixel of rim is cut,
    gradients are zero-padded, all bands are pooled, no mean is removed. Papers that use a
    Laplacian have other values.
    """
    x, y = (_sobel(image[..., 1:-1, 1:-1]) for image in as_pair(gt, fused))
    dims = (1, 2, 3)
    product = (x * x).sum(dims).sqrt() * (y * y).sum(dims).sqrt()
    value = (x * y).sum(dims) / product.clamp_min(torch.finfo(torch.float64).tiny)
    return value[0] if gt.ndim == 3 else value


def _sobel(image: Tensor) -> Tensor:
    kernel = image.new_tensor([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    weight = torch.stack([kernel, kernel.T])[:, None]
    flat = image.reshape(-1, 1, *image.shape[-2:])
    gradient = F.conv2d(flat, weight, padding=1)
    return gradient.pow(2).sum(1).sqrt().reshape(image.shape)
