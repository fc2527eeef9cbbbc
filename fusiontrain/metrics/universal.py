"""UQI, the universal image quality index, in the two forms the field uses.

Source: Wang and Bovik 2002, IEEE SPL 9(3):81-84.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from fusiontrain.errors import ShapeError
from fusiontrain.metrics.pair import as_pair


def uqi(gt: Tensor, fused: Tensor, *, window: int = 32) -> Tensor:
    """Mean over all positions of a sliding window, then over bands, () or (N,): 1 is perfect.

    The toolbox's Q_avg. Where both windows are flat their means alone are compared; where
    both are zero the index is 1. Images must be at least `window` pixels a side.
    """
    x, y = as_pair(gt, fused)
    if min(x.shape[-2:]) < window:
        raise ShapeError(f"UQI needs {window} pixels a side; got {tuple(x.shape[-2:])}")

    def total(image: Tensor) -> Tensor:
        return F.avg_pool2d(image, window, 1, divisor_override=1)

    n = window * window
    sx, sy = total(x), total(y)
    product, squares = sx * sy, sx * sx + sy * sy
    spread = n * (total(x * x) + total(y * y)) - squares
    covariance = n * total(x * y) - product
    quality = torch.ones_like(product)
    flat = (spread == 0) & (squares != 0)
    quality = torch.where(flat, 2 * product / squares.where(flat, 1), quality)
    bottom = spread * squares
    whole = bottom != 0
    quality = torch.where(whole, 4 * covariance * product / bottom.where(whole, 1), quality)
    value = quality.mean((-2, -1)).mean(1)
    return value[0] if gt.ndim == 3 else value


def block_uqi(x: Tensor, y: Tensor, *, block: int = 32) -> Tensor:
    """Mean over side-by-side blocks, (..., H, W) -> (...): what the no-reference indices use.

    Raises: ShapeError unless H and W are multiples of `block`.
    """
    H, W = x.shape[-2:]
    if H % block or W % block:
        raise ShapeError(f"blocks of {block} must tile the image; got {H}x{W}: cut it first")
    a, b = (_split(image.to(torch.float64), block) for image in (x, y))
    mean_a, mean_b = a.mean(-1), b.mean(-1)
    a, b = a - mean_a[..., None], b - mean_b[..., None]
    n = block * block - 1
    covariance, variances = (a * b).sum(-1) / n, ((a * a).sum(-1) + (b * b).sum(-1)) / n
    bottom = variances * (mean_a**2 + mean_b**2)
    # Two flat or two black blocks are equal in all that the index sees: they count as 1.
    quality = 4 * covariance * mean_a * mean_b / bottom.where(bottom != 0, 1)
    return torch.where(bottom != 0, quality, 1.0).mean(-1)


def _split(image: Tensor, block: int) -> Tensor:
    H, W = image.shape[-2:]
    tiled = image.reshape(*image.shape[:-2], H // block, block, W // block, block)
    return tiled.transpose(-3, -2).flatten(-4, -3).flatten(-2)
