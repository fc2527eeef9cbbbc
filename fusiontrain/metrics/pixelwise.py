"""Indices common to all of imaging: RMSE, PSNR, SSIM, CC."""

import math

import torch
from torch import Tensor

from fusiontrain.errors import MetricError
from fusiontrain.metrics.cache_chunks import chunks
from fusiontrain.metrics.input_checks import DN_ENDS, REFLECTANCE_ENDS, Pair, as_pair, sample
from fusiontrain.metrics.sliding_windows import mean_of_windows, weigh
from fusiontrain.metrics.spectral import errors, pixels

_RADIUS, _SIGMA, _K1, _K2 = 5, 1.5, 0.01, 0.03


def rmse(gt: Tensor, fused: Tensor, *, valid: Tensor | None = None) -> Tensor:
    """Root mean square error over all pixels and bands, in the images' unit, () or (N,).

    No border, no rounding; zero pixels count; nodata is left out, exactly. Symmetric.
    Raises: MetricError as in input_checks.py.
    """
    pair = as_pair(gt, fused, valid, lazy=True)
    return pair.give(errors(pair).mean(1).sqrt())


def psnr(
    gt: Tensor,
    fused: Tensor,
    *,
    bits: int | None = None,
    peak: float | None = None,
    valid: Tensor | None = None,
) -> Tensor:
    """Peak signal-to-noise ratio, dB, () or (N,): of full scale over RMSE; equal images: inf.

    Full scale is given, never guessed, by one of `bits` (DN: 2**bits - 1) and `peak` (1.0 for
    reflectance). No border, no rounding; zero pixels count; nodata is left out, exactly.
    Raises: MetricError if the values cannot be of that scale, and as in input_checks.py.
    """
    pair = as_pair(gt, fused, valid, lazy=True)
    top = _full_scale(bits, peak, pair)
    return pair.give(20 * torch.log10(top / errors(pair).mean(1).sqrt()))


def cc(gt: Tensor, fused: Tensor, *, valid: Tensor | None = None) -> Tensor:
    """Pearson correlation, mean over bands, () or (N,). A flat band counts as 0.

    No border, no rounding; zero pixels count; nodata is left out, exactly. Symmetric.
    Raises: MetricError as in input_checks.py.
    """
    pair = as_pair(gt, fused, valid, one_range=False, lazy=True)
    return pair.give(correlation(pair))


def correlation(pair: Pair) -> Tensor:
    """(N,): Pearson correlation of valid pixels, mean over bands."""
    N, C = pair.gt.shape[:2]
    x, y = (image.flatten(0, 1).flatten(1) for image in (pair.gt, pair.fused))
    mask = None
    first = torch.zeros(N * C, dtype=torch.long, device=x.device)
    if pair.valid is not None:
        mask = pair.valid[:, None].expand(N, C, -1, -1).reshape(N * C, -1)
        first = mask.byte().argmax(1)
    # Relative to one of their own pixels, flat bands are exactly zero, and the sums of the
    # others lose no digits.
    origins = [image.gather(1, first[:, None]).double() for image in (x, y)]
    sums = x.new_zeros(5, N * C, dtype=torch.float64)
    for plane, run in chunks(N * C, x.shape[1], x.device, each=2):
        a, b = (
            image[plane, run].double() - origin[plane]
            for image, origin in zip((x, y), origins, strict=True)
        )
        if mask is not None:
            a, b = a * mask[plane, run], b * mask[plane, run]
        sums[0, plane] += a.sum(1)
        sums[1, plane] += b.sum(1)
        for k, (p, q) in enumerate(((a, a), (b, b), (a, b)), start=2):
            sums[k, plane] += torch.linalg.vecdot(p, q)
    count = pixels(pair).repeat_interleave(C)
    sx, sy, sxx, syy, sxy = pair.settle(sums)
    vx, vy = count * sxx - sx * sx, count * syy - sy * sy
    varied = (vx > 0) & (vy > 0)
    rho = (count * sxy - sx * sy) / torch.where(varied, vx * vy, 1).sqrt()
    return torch.where(varied, rho, 0).reshape(N, C).mean(1)


def ssim(
    gt: Tensor,
    fused: Tensor,
    *,
    bits: int | None = None,
    peak: float | None = None,
    valid: Tensor | None = None,
) -> Tensor:
    """Structural similarity, mean over windows inside the image and bands, () or (N,).

    11x11 Gaussian window of sigma 1.5, population moments; full scale as in `psnr`. No
    rounding; zero pixels count; a window with an invalid pixel is left out, since its moments
    would mix it in. Symmetric; 1 is perfect.
    Raises: ShapeError under 11 pixels a side; MetricError as in `psnr`.
    Source: Wang et al. 2004, IEEE TIP 13(4):600-612.
    """
    pair = as_pair(gt, fused, valid)
    top = _full_scale(bits, peak, pair)
    c1, c2 = ((k * top) ** 2 for k in (_K1, _K2))
    bell = [math.exp(-0.5 * (t / _SIGMA) ** 2) for t in range(_RADIUS + 1)]
    half = tuple(v / (2 * sum(bell) - bell[0]) for v in bell)

    def quality(x: Tensor, y: Tensor) -> Tensor:
        mx, my = weigh(x, half), weigh(y, half)
        energy, cross = weigh((x * x).addcmul_(y, y), half), weigh(x * y, half)
        product, squares = mx * my, (mx * mx).addcmul_(my, my)
        covariance, spread = cross.sub_(product), energy.sub_(squares)
        top = covariance.mul_(2).add_(c2).mul_(product.mul_(2).add_(c1))
        return top.div_(spread.add_(c2).mul_(squares.add_(c1)))

    return pair.give(mean_of_windows(pair, 2 * _RADIUS + 1, quality, "SSIM"))


def _full_scale(bits: int | None, peak: float | None, pair: Pair) -> float:
    if (bits is None) == (peak is None):
        raise MetricError(
            f"give bits= (11: DN up to 2047) or peak= (1.0: reflectance); "
            f"got bits={bits}, peak={peak}"
        )
    top = float(2**bits - 1) if bits is not None else float(peak or 0)
    if not 0 < top < math.inf:
        raise MetricError(f"full scale must be above 0; got bits={bits}, peak={peak}")
    suspect = float(sample(pair.gt).max())
    if not (suspect > 2 * top or (top >= DN_ENDS and suspect <= REFLECTANCE_ENDS)):
        return top
    pair.refuse_nan()
    low, high = (float(v) for v in pair.gt.aminmax())
    if high > 2 * top or 0 < high <= REFLECTANCE_ENDS:
        raise MetricError(
            f"gt in {low:.4g}..{high:.4g} is not of a scale that ends at {top:g}\n"
            "  do: give the bits= or peak= of the values as they are"
        )
    return top
