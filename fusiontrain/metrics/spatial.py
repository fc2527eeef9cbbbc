"""SCC, in the toolbox's form and in the one of its paper."""

import torch
import torch.nn.functional as F
from torch import Tensor

from fusiontrain.errors import ShapeError
from fusiontrain.metrics.cache_chunks import chunks
from fusiontrain.metrics.input_checks import Pair, as_pair, refuse_empty
from fusiontrain.metrics.pixelwise import correlation
from fusiontrain.metrics.sliding_windows import box, whole_windows


def scc(gt: Tensor, fused: Tensor, *, valid: Tensor | None = None) -> Tensor:
    """Spatial correlation coefficient, () or (N,): cosine of the images' Sobel magnitudes.

    The toolbox's form (Vivone et al. 2015, TGRS 53(5):2565-2586): a border of one pixel is cut,
    gradients are zero-padded, all bands are pooled, no mean is removed, nothing is rounded.
    Papers that use a Laplacian have other values. Flat images have no gradient: 0.
    Nodata: a gradient counts only if its 3x3 pixels are all valid, else the edge of the
    nodata would count as detail. Symmetric.
    Raises: ShapeError under 3 pixels a side; MetricError as in input_checks.py.
    """
    pair = as_pair(gt, fused, valid, one_range=False, lazy=True)
    N, C, H, W = pair.gt.shape
    if min(H, W) < 3:
        raise ShapeError(f"SCC needs 3 pixels a side; got {(H, W)}")
    x, y = (image[..., 1:-1, 1:-1].flatten(0, 1) for image in (pair.gt, pair.fused))
    whole = None
    if pair.valid is not None:
        inner = F.pad(pair.valid[:, 1:-1, 1:-1].float(), (1, 1, 1, 1), value=1.0)
        whole = whole_windows(inner.bool(), 3)
        refuse_empty(whole.sum((-2, -1)), "3x3 window without nodata")
        whole = whole[:, None].expand(N, C, -1, -1).flatten(0, 1)
    sums = x.new_zeros(3, N * C, dtype=torch.float64)
    for plane, rows in chunks(N * C, H - 2, x.device, each=4 * W, least=16):
        a, b = (_sobel_energy(image[plane], rows) for image in (x, y))
        if whole is not None:
            a, b = a * whole[plane, rows], b * whole[plane, rows]
        for k, part in enumerate((a, b, (a * b).sqrt_())):
            sums[k, plane] += part.sum((-2, -1))
    xx, yy, xy = pair.settle(sums).reshape(3, N, C).sum(2)
    bottom = xx.sqrt() * yy.sqrt()
    return pair.give(xy / bottom.clamp_min(torch.finfo(torch.float64).tiny))


def _sobel_energy(image: Tensor, rows: slice) -> Tensor:
    """Squares of the gradient's magnitude in some rows of (P, H, W), zeros around the image."""
    H = image.shape[-2]
    above, below = int(rows.start == 0), int(rows.stop == H)
    cut = image[:, rows.start - 1 + above : rows.stop + 1 - below].double()
    z = F.pad(cut, (1, 1, above, below))
    across = z[..., 2:] - z[..., :-2]
    along = z[..., 2:, :] - z[..., :-2, :]
    gx = across[:, :-2] + across[:, 2:] + 2 * across[:, 1:-1]
    gy = along[..., :-2] + along[..., 2:] + 2 * along[..., 1:-1]
    return gx.mul_(gx).addcmul_(gy, gy)


def scc_laplacian(gt: Tensor, fused: Tensor, *, valid: Tensor | None = None) -> Tensor:
    """Correlation of the bands' Laplacians, mean over bands, () or (N,); 1 is perfect.

    Eight-neighbour Laplacian, a border of one pixel left out, nothing rounded; a band without
    detail counts as 0. Not the toolbox's SCC. Nodata: a Laplacian counts only if its 3x3
    pixels are all valid, else the edge of the nodata would count as detail. Symmetric.
    Raises: ShapeError under 3 pixels a side; MetricError as in input_checks.py.
    Source: Zhou, Civco and Silander 1998, IJRS 19(4):743-757.
    """
    pair = as_pair(gt, fused, valid, one_range=False)
    if min(pair.gt.shape[-2:]) < 3:
        raise ShapeError(f"SCC needs 3 pixels a side; got {tuple(pair.gt.shape[-2:])}")
    whole = None if pair.valid is None else whole_windows(pair.valid, 3)
    if whole is not None:
        refuse_empty(whole.sum((-2, -1)), "3x3 window without nodata")
    x, y = (_laplacian(image) for image in (pair.gt, pair.fused))
    return pair.give(correlation(Pair(gt=x, fused=y, valid=whole, single=pair.single)))


def _laplacian(image: Tensor) -> Tensor:
    """9 times the pixel less its 3x3 sum."""
    exact = image.double()
    return 9 * exact[..., 1:-1, 1:-1] - box(exact, 3)
