"""What a fused image looks like at full resolution, in two numbers that need no truth.

Neither is a quality by itself: an image as sharp as PAN has a sharpness of one, and coloured
detail is true where the ground is coloured and false where it is fringes, rainbows and speckle.
Compare coloured detail with the truth's, or with GSA's on the same scene.
"""

import math

import torch
from torch import Tensor

from fusiontrain.imaging.filters import blur
from fusiontrain.imaging.masks import eroded
from fusiontrain.metrics.full_resolution_inputs import Kept, check_pan, once
from fusiontrain.metrics.input_checks import Pair, as_pair, refuse_empty

_FINE = 1.0  # PAN pixels: what a Gaussian of this sigma takes away is the finest detail
_EXPLAINED = 0.8  # MS pixels: PAN and bands are compared where both are blurred by this sigma
_COLOUR = 0.55  # MS pixels: detail finer than the MS is what this sigma takes away
_SMOOTH = 3.0  # MS pixels: how smooth a multiple of the intensity's detail is
_LEAST = 1e-6  # DN squared: keeps flat ground from a division by zero
_COLLINEAR = 1e-10  # relative variance under which a mix of bands counts as none


def sharpness(fused: Tensor, pan: Tensor, *, ratio: int, valid: Tensor | None = None) -> Tensor:
    """Spread of the finest detail of the fused intensity over PAN's, () or (N,): 1 is PAN's own.

    The intensity is the mix of bands, with an offset, that explains PAN best where both are
    blurred to the MS. Shapes: fused (C, H, W), pan (1, H, W) on one grid, or batched. NaN where
    PAN is flat. Border mirrored; pixels that a filter mixes nodata into are left out.
    Raises: ShapeError, MetricError as in input_checks.py.
    """
    return sharpness_and_coloured_detail(fused, pan, ratio=ratio, valid=valid)[0]


def coloured_detail(
    fused: Tensor, pan: Tensor, *, ratio: int, valid: Tensor | None = None
) -> Tensor:
    """Detail of the bands that is no smooth multiple of the intensity's, () or (N,).

    Root mean square over bands of its spread over the band's own at low frequencies; intensity,
    shapes, border and nodata as in `sharpness`. 0 for an image whose detail has one colour.
    Raises: ShapeError, MetricError as in input_checks.py.
    """
    return sharpness_and_coloured_detail(fused, pan, ratio=ratio, valid=valid)[1]


def sharpness_and_coloured_detail(
    fused: Tensor,
    pan: Tensor,
    *,
    ratio: int,
    valid: Tensor | None = None,
    of_pan: Kept | None = None,
) -> tuple[Tensor, Tensor]:
    """Both numbers, for the intensity of one regression.

    `of_pan`: a dictionary to give again with the same PAN, ratio and `valid`: what depends on
    these alone is then computed once. Raises: as `sharpness`.
    """
    pair, kept = _inputs(fused, pan, ratio, valid)
    sharp = pair.fused
    low_pan = once(of_pan, "low PAN", lambda: _low(sharp, _EXPLAINED * ratio))
    intensity = _intensity(pair, low_pan, kept, ratio)
    fine = _spread(intensity - _low(intensity, _FINE), kept)[:, 0]
    of_fine = once(of_pan, "fine PAN", lambda: _spread(sharp - _low(sharp, _FINE), kept)[:, 0])
    return pair.give(fine / of_fine), pair.give(_colour(pair.gt, intensity, kept, ratio))


def _colour(fused: Tensor, intensity: Tensor, kept: Tensor | None, ratio: int) -> Tensor:
    sigma = _COLOUR * ratio
    shared = intensity - _low(intensity, sigma)
    energy = _low(shared * shared, _SMOOTH * ratio) + _LEAST
    low = _low(fused, sigma)
    detail = fused - low
    gain = _low(detail * shared, _SMOOTH * ratio) / energy
    rest = _mean((detail - gain * shared) ** 2, kept)
    shares = rest / _spread(low, kept) ** 2
    return shares.mean(1).sqrt()


def _inputs(
    fused: Tensor, pan: Tensor, ratio: int, valid: Tensor | None
) -> tuple[Pair, Tensor | None]:
    """Fused and PAN as float64, nodata at the mean; (N, 1, H, W) bool of the pixels that count.

    None: all count.
    """
    check_pan(pan, fused)
    names = ("fused", "PAN")
    pair = as_pair(fused, pan.expand_as(fused), valid, one_range=False, names=names)
    first, second, mask = pair.gt.double(), pair.fused[:, :1].double(), pair.valid
    kept = None
    if mask is not None:
        reach = math.ceil(4 * _EXPLAINED * ratio)
        kept = torch.stack([eroded(one, reach) for one in mask])[:, None]
        refuse_empty(kept.sum((-3, -2, -1)), "pixel far enough from nodata")
        first, second = (_filled(image, mask[:, None]) for image in (first, second))
    whole = Pair(gt=first, fused=second, valid=mask, single=pair.single, names=names)
    return whole, kept


def _filled(image: Tensor, mask: Tensor) -> Tensor:
    mean = (image * mask).sum((-2, -1), keepdim=True) / mask.sum((-2, -1), keepdim=True)
    return torch.where(mask, image, mean)


def _low(image: Tensor, sigma: float) -> Tensor:
    """Blurred about its mean in float32, where filters are three times faster."""
    mean = image.mean((-2, -1), keepdim=True)
    about = (image - mean).float()
    return blur(about, about.new_full(about.shape[:2], sigma)).double() + mean


def _intensity(pair: Pair, pan: Tensor, kept: Tensor | None, ratio: int) -> Tensor:
    """(N, 1, H, W): the bands' mix that explains PAN at low frequencies, by least squares."""
    bands = _low(pair.gt, _EXPLAINED * ratio)
    levels = [_mean(image, kept)[..., None, None] for image in (bands, pan)]
    x, y = (
        _counted(image - level, kept).flatten(2)
        for image, level in zip((bands, pan), levels, strict=True)
    )
    inverse = torch.linalg.pinv(x @ x.mT, rtol=_COLLINEAR, hermitian=True)
    weights = (inverse @ (x @ y.mT))[..., None]
    return ((pair.gt - levels[0]) * weights).sum(1, keepdim=True) + levels[1]


def _spread(image: Tensor, kept: Tensor | None) -> Tensor:
    """(N, C): standard deviation of the pixels that count."""
    return _mean((image - _mean(image, kept)[..., None, None]) ** 2, kept).sqrt()


def _mean(image: Tensor, kept: Tensor | None) -> Tensor:
    """(N, C): mean of the pixels that count."""
    count = image[0, 0].numel() if kept is None else kept.sum((-2, -1))
    return _counted(image, kept).sum((-2, -1)) / count


def _counted(image: Tensor, kept: Tensor | None) -> Tensor:
    """0 in place of the pixels that do not count."""
    return image if kept is None else image * kept
