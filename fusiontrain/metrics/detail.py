"""What a fused image looks like at full resolution, in two numbers that need no truth.

Neither is a quality by itself: an image as sharp as PAN has a sharpness of one, and coloured
detail is true where the ground is coloured and false where it is fringes, rainbows and speckle.
Compare coloured detail with the truth's, or with GSA's on the same scene.
"""

import math
from collections.abc import Iterator

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
_LEAST = 1e-8  # of the mean energy: keeps flat ground from a division by zero
_NOTHING = 1e-30  # energy of an image that is flat throughout
_PIECE = 2**15  # pixels
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
    bands, sharp, kept, pair = _inputs(fused, pan, ratio, valid)
    low_pan = once(of_pan, "low PAN", lambda: _low(sharp, _EXPLAINED * ratio))
    intensity = _intensity(bands, low_pan, kept, ratio)
    fine = _variance(intensity - _low(intensity, _FINE), kept)
    of_fine = once(of_pan, "fine PAN", lambda: _variance(sharp - _low(sharp, _FINE), kept))
    return pair.give((fine / of_fine)[:, 0].sqrt()), pair.give(
        _colour(bands, intensity, kept, ratio)
    )


def coloured_part(fused: Tensor, pan: Tensor, *, ratio: int) -> Tensor:
    """The detail that `coloured_detail` measures, DN: (C, H, W), or batched, as `fused`.

    Raises: ShapeError, MetricError as in input_checks.py.
    """
    bands, sharp, _, pair = _inputs(fused, pan, ratio, None)
    intensity = _intensity(bands, _low(sharp, _EXPLAINED * ratio), None, ratio)
    return pair.give(_coloured(bands, intensity, ratio)[0])


def _colour(bands: Tensor, intensity: Tensor, kept: Tensor | None, ratio: int) -> Tensor:
    coloured, low = _coloured(bands, intensity, ratio)
    return (_mean(coloured.square_(), kept) / _variance(low, kept)).mean(1).sqrt()


def _coloured(bands: Tensor, intensity: Tensor, ratio: int) -> tuple[Tensor, Tensor]:
    """The bands' detail that is no smooth multiple of the intensity's; the bands without detail."""
    sigma, smooth = _COLOUR * ratio, _SMOOTH * ratio
    shared = intensity - _low(intensity, sigma)
    squares = shared.square()
    least = squares.mean((-2, -1), keepdim=True).mul_(_LEAST).clamp_min_(_NOTHING)
    energy = _low(squares, smooth).add_(least)
    low = _low(bands, sigma)
    detail = bands - low
    gain = _low(detail * shared, smooth).div_(energy)
    return detail.addcmul_(gain, shared, value=-1), low


def _inputs(
    fused: Tensor, pan: Tensor, ratio: int, valid: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None, Pair]:
    """Bands (N, C, H, W) and PAN (N, 1, H, W) about their means; (N, 1, H, W) bool: what counts.

    In float32, where filters are three times faster. Nodata lies at the mean. None: all count.
    """
    check_pan(pan, fused)
    pair = as_pair(fused, pan.expand_as(fused), valid, one_range=False, names=("fused", "PAN"))
    bands, sharp = (_about_mean(image, pair.valid) for image in (pair.gt, pair.fused[:, :1]))
    kept = None
    if pair.valid is not None:
        reach = math.ceil(4 * _EXPLAINED * ratio)
        kept = torch.stack([eroded(one, reach) for one in pair.valid])[:, None]
        refuse_empty(kept.sum((-3, -2, -1)), "pixel far enough from nodata")
    return bands, sharp, kept, pair


def _about_mean(image: Tensor, valid: Tensor | None) -> Tensor:
    count = image[0, 0].numel() if valid is None else valid.sum((-2, -1))[:, None, None, None]
    mean = image.sum((-2, -1), keepdim=True, dtype=torch.float64) / count
    about = (image - mean.to(image)).float()
    return about if valid is None else about.mul_(valid[:, None])


def _low(image: Tensor, sigma: float) -> Tensor:
    return blur(image, image.new_full(image.shape[:2], sigma))


def _intensity(bands: Tensor, low_pan: Tensor, kept: Tensor | None, ratio: int) -> Tensor:
    """(N, 1, H, W): the bands' mix that explains PAN at low frequencies, by least squares.

    About the mean. Sums and the mix in float64: weights of bands that are alike are large.
    """
    N, C = bands.shape[:2]
    total = bands.new_zeros(N, C + 1, 1, dtype=torch.float64)
    products = total.new_zeros(N, C + 1, C + 1)
    for piece in _pieces(torch.cat([_low(bands, _EXPLAINED * ratio), low_pan], 1), kept):
        total += piece.sum(-1, keepdim=True)
        products += piece @ piece.mT
    count = bands[0, 0].numel() if kept is None else kept.sum((-2, -1))[..., None]
    about = products - total @ total.mT / count
    inverse = torch.linalg.pinv(about[:, :C, :C], rtol=_COLLINEAR, hermitian=True)
    weights = (inverse @ about[:, :C, C:]).mT
    mixed = [weights @ piece for piece in _pieces(bands)]
    return torch.cat(mixed, -1).to(bands).reshape(N, 1, *bands.shape[2:])


def _pieces(image: Tensor, kept: Tensor | None = None) -> Iterator[Tensor]:
    """(N, C, H, W) as float64 (N, C, pixels) that stay in the cache; 0 what does not count."""
    flat, mask = image.flatten(2), None if kept is None else kept.flatten(2)
    for start in range(0, flat.shape[-1], _PIECE):
        run = slice(start, start + _PIECE)
        piece = flat[..., run].double()
        yield piece if mask is None else piece.mul_(mask[..., run])


def _variance(image: Tensor, kept: Tensor | None) -> Tensor:
    """(N, C): of the pixels that count, of an image whose mean is near 0."""
    return _mean(image.square(), kept) - _mean(image, kept).square()


def _mean(image: Tensor, kept: Tensor | None) -> Tensor:
    """(N, C): mean of the pixels that count, of rows in float32, over rows in float64."""
    count = image[0, 0].numel() if kept is None else kept.sum((-2, -1))
    counted = image if kept is None else image * kept
    return counted.sum(-1).sum(-1, dtype=torch.float64) / count
