"""UQI, the universal image quality index, in the two forms the field uses.

Source: Wang and Bovik 2002, IEEE SPL 9(3):81-84.
"""

import torch
from torch import Tensor

from fusiontrain.errors import ShapeError
from fusiontrain.metrics.cache_chunks import chunks
from fusiontrain.metrics.input_checks import as_pair, refuse_empty
from fusiontrain.metrics.sliding_windows import box, mean_of_windows

# A spread this small beside the energy is the rounding of a flat window, not its texture.
FLAT = 1e-13


def uqi(gt: Tensor, fused: Tensor, *, window: int = 32, valid: Tensor | None = None) -> Tensor:
    """Mean over all positions of a sliding window, then over bands, () or (N,): 1 is perfect.

    The toolbox's Q_avg: windows inside the image only, no rounding of values. Where both
    windows are flat their means alone are compared; where both are zero the index is 1.
    Nodata: a window with an invalid pixel is left out, since its moments would mix it in.
    Raises: ShapeError under `window` pixels a side; MetricError as in input_checks.py.
    """
    pair = as_pair(gt, fused, valid)

    def quality(x: Tensor, y: Tensor) -> Tensor:
        return _quality(x, y, window)

    return pair.give(mean_of_windows(pair, window, quality, "UQI"))


def _quality(x: Tensor, y: Tensor, window: int) -> Tensor:
    n = window * window
    sx, sy, sxy = box(x, window), box(y, window), box(x * y, window)
    energy = box((x * x).addcmul_(y, y), window).mul_(n)
    product = sx * sy
    squares = (sx * sx).addcmul_(sy, sy)
    spread = energy - squares
    flat = spread <= FLAT * energy
    top = sxy.mul_(4 * n).sub_(product, alpha=4).mul_(product)
    quality = top.div_(spread.mul_(squares))
    if bool(flat.any()):
        means = torch.where(squares > 0, 2 * product / squares, 1)
        quality = torch.where(flat, means, quality)
    # Detail around a zero mean: the index has no opinion, and the toolbox says 1.
    return quality.where(squares > 0, 1) if bool((squares == 0).any()) else quality


def block_uqi(x: Tensor, y: Tensor, *, block: int = 32, valid: Tensor | None = None) -> Tensor:
    """UQI of every band of x with every band of y, mean over side-by-side blocks.

    Shapes: (N, C, H, W), (N, D, H, W) -> (N, C, D); valid (N, H, W).
    A block counts only if all its pixels are valid. Two flat or two black blocks are equal in
    all that the index sees: they count as 1.
    Raises: ShapeError unless H and W are multiples of `block`; MetricError if no block counts.
    """
    N, C, H, W = x.shape
    if H % block or W % block:
        raise ShapeError(f"blocks of {block} must tile the image; got {H}x{W}: cut it first")
    whole = whole_blocks(valid, block) if valid is not None else None
    if whole is not None:
        refuse_empty(whole.sum((-2, -1)), f"{block}x{block} block without nodata")
    total = x.new_zeros(N, C, y.shape[1], dtype=torch.float64)
    each = C * block * W
    for images, rows in chunks(N, H // block, x.device, each=each):
        for n in range(*images.indices(N)):
            a = as_blocks(x[n], rows, block)
            b = a if x is y else as_blocks(y[n], rows, block)
            quality = _block_quality(a, b)
            if whole is not None:
                quality = quality[whole[n, rows].flatten()]
            total[n] += quality.sum(0)
    count = (H // block) * (W // block) if whole is None else whole.sum((-2, -1))[:, None, None]
    return total / count


def _block_quality(x: Tensor, y: Tensor) -> Tensor:
    """(blocks, C, pixels), (blocks, D, pixels) -> (blocks, C, D)."""
    mean_x, energy_x, x = _moments(x)
    mean_y, energy_y, y = _moments(y)
    covariance = x @ y.transpose(-1, -2)
    squares = mean_x[..., :, None] ** 2 + mean_y[..., None, :] ** 2
    spread = energy_x[..., :, None] + energy_y[..., None, :]
    bottom = spread * squares
    top = 4 * covariance * (mean_x[..., :, None] * mean_y[..., None, :])
    alike = (spread <= FLAT * x.shape[-1] * squares) | (squares == 0)
    return torch.where(alike, 1.0, top / bottom.where(~alike, 1))


def _moments(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Means, sums of squares about them, and what is left of the mean."""
    mean = x.mean(-1)
    centred = x - mean[..., None]
    return mean, torch.linalg.vecdot(centred, centred), centred


def as_blocks(image: Tensor, rows: slice, block: int) -> Tensor:
    """Rows of blocks of (C, H, W) as (blocks, C, block * block) float64."""
    C, _, W = image.shape
    cut = image[:, rows.start * block : rows.stop * block]
    tiled = cut.reshape(C, -1, block, W // block, block).permute(1, 3, 0, 2, 4)
    return tiled.to(torch.float64).reshape(-1, C, block * block)


def whole_blocks(valid: Tensor, block: int) -> Tensor:
    """(N, H, W) -> (N, H / block, W / block): blocks whose pixels are all valid."""
    N, H, W = valid.shape
    return valid.reshape(N, H // block, block, W // block, block).all(4).all(2)
