"""A correction of bands fused by guides, fitted one level down. Axes as in guides.py.

One level down the truth is known: it is the MS. There each band is fused in the same way, and what
is left of it is regressed on images around each pixel: the guides, the band as interpolated and as
fused, and its PAN; and on products of two guides. The same weights correct the bands a level up,
and a last step gives back what the MS shows. Pixels left out of the regression say whether it helps
a band.
Sources: a mapping trained one level down, Lanaras et al. 2018, ISPRS J 146:305-319; the last step,
Irani and Peleg 1991 (ms_consistency.py).
"""

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from fusiontrain.imaging.filters import degrade, upsample
from fusiontrain.imaging.guides import FOLDS, block_folds
from fusiontrain.imaging.masks import eroded, ms_valid_mask
from fusiontrain.imaging.pan_batch import GridPhase

SIDE = 5  # pixels of the guides' grid a side around a pixel that correct it
REACH = 12  # MS pixels around a pixel that its corrected value depends on
_OWN = 3 * SIDE**2  # regressors of the band itself: interpolated, fused, its PAN
_MOST = 9.0  # of a product of two guides, in their standard deviations
_RIDGE = 3e-4  # of each regressor's variance
_WORTH = 0.97  # of the square error: a correction that takes off less is left out
_LEAST_SAMPLES = 8  # pixels a regressor
_TINY = 1e-6


@dataclass(frozen=True, kw_only=True, slots=True)
class GuidedImages:
    """Bands of one place on the guides' grid, DN."""

    fused: Tensor  # (C, H, W)
    pan: Tensor  # (C, H, W): one a band
    up: Tensor  # (C, H, W): the MS, interpolated
    guides: Tensor  # (G, H, W)


@dataclass(frozen=True, kw_only=True, slots=True)
class Scales:
    """What values are counted from and in, so that sums keep their digits."""

    guide_mean: Tensor  # (G,) DN
    guide_std: Tensor
    band_mean: Tensor  # (C,) DN

    def guides(self, images: GuidedImages) -> Tensor:
        """(G, H, W) in standard deviations."""
        mean, std = (v[:, None, None].to(images.guides) for v in (self.guide_mean, self.guide_std))
        return (images.guides - mean) / std

    def own(self, images: GuidedImages) -> Tensor:
        """(C, 3, H, W) DN about each band's mean."""
        stacked = torch.stack([images.up, images.fused, images.pan], 1)
        return stacked - self.band_mean[:, None, None, None].to(stacked)


@dataclass(frozen=True, slots=True)
class LevelMoments:
    """Sums over pixels of products of the regressors and the rest; windows add with +."""

    products: Tensor  # (FOLDS, C, S + 1, S + 1) float64; a one first, the rest last

    def __add__(self, other: "LevelMoments") -> "LevelMoments":
        return LevelMoments(self.products + other.products)


@dataclass(frozen=True, kw_only=True, slots=True)
class LevelCorrection:
    """Weights of the correction; `share`: of the square error that it takes off, 0: not used."""

    scales: Scales = field(repr=False)
    constant: Tensor = field(repr=False)  # (C,) DN
    around: Tensor = field(repr=False)  # (C, G, SIDE, SIDE) DN a standard deviation
    squares: Tensor = field(repr=False)  # (C, products of two guides)
    own: Tensor = field(repr=False)  # (C, 3, SIDE, SIDE)
    share: Tensor  # (C,) of the square error on pixels left out
    mtf: Tensor = field(repr=False)  # (C,) gains of the MS relative to the corrected bands

    @property
    def used(self) -> Tensor:
        """(C,) bool."""
        return self.share > 0

    def rest(self, images: GuidedImages) -> Tensor:
        """(C, H, W) DN to add to the fused bands, before the step to the MS."""
        z = self.scales.guides(images)
        out = F.conv2d(_mirrored(z), self.around.to(z), self.constant.to(z))[0]
        for weights, (a, b) in zip(self.squares.T.to(z), _pairs(len(z)), strict=True):
            out += weights[:, None, None] * _product(z[a], z[b])
        own = self.scales.own(images)
        out += F.conv2d(_mirrored(own.flatten(0, 1)), self.own.to(z), groups=len(own))[0]
        return out


def corrected(
    images: GuidedImages,
    correction: LevelCorrection,
    ms: Tensor,
    valid: Tensor,
    ratio: int,
    phase: GridPhase = "aligned",
) -> Tensor:
    """(C, H, W) DN: the fused bands corrected, and consistent with the MS.

    Shapes: ms (C, h, w) DN, valid (H, W) bool. Beside missing pixels, and where the correction does
            not help a band, it is left as fused.
    """
    whole = eroded(valid, SIDE // 2)
    made = images.fused + torch.where(whole, correction.rest(images), 0.0)
    lost = ms - degrade(made[None], correction.mtf[None], ratio, phase)[0]
    lost = torch.where(ms_valid_mask(valid, ratio), lost, 0.0)
    made = made + upsample(lost[None], ratio, phase)[0]
    return torch.where(correction.used[:, None, None] & whole, made, images.fused)


def moment_bytes(guides: int, bands: int) -> int:
    """Of the moments of a scene."""
    regressors = 1 + guides * SIDE**2 + len(_pairs(guides)) + _OWN
    return FOLDS * bands * (regressors + 1) ** 2 * 8


def level_moments(
    images: GuidedImages,
    truth: Tensor,
    scales: Scales,
    *,
    valid: Tensor,
    origin: tuple[int, int],
    shape: tuple[int, int],
) -> LevelMoments:
    """Moments of a window one level down, whose pixels are the MS's.

    Shapes: truth (C, H, W) DN; valid (H, W) bool: the pixels to use; `origin`: the window's first
            row and column in the scene of `shape`, by which pixels belong to a fold.
    """
    height, width = truth.shape[1:]
    folds = block_folds(height, width, origin, shape).flatten()
    used = [valid.flatten() & (folds == fold) for fold in range(FOLDS)]
    shared = _shared(scales.guides(images))
    parts = [shared[:, mask] for mask in used]
    squares = [part @ part.T for part in parts]  # float32: the ridge is far above its error
    sums = []
    for own, rest in zip(scales.own(images), truth - images.fused, strict=True):
        every = torch.cat([_neighbours(own), rest.flatten()[None]])
        by_fold = []
        for mask, part, square in zip(used, parts, squares, strict=True):
            other = every[:, mask]
            cross = part @ other.T
            low = torch.cat([cross.T, other @ other.T], 1)
            by_fold.append(torch.cat([torch.cat([square, cross], 1), low]))
        sums.append(torch.stack(by_fold).double())
    return LevelMoments(torch.stack(sums, 1))


def _shared(z: Tensor) -> Tensor:
    """(S, H * W): a one, the guides around each pixel, their products."""
    around = _neighbours(z)
    squares = torch.stack([_product(z[a], z[b]).flatten() for a, b in _pairs(len(z))])
    return torch.cat([torch.ones_like(around[:1]), around, squares])


def _neighbours(images: Tensor) -> Tensor:
    """(N, H, W) -> (N * SIDE ** 2, H * W)."""
    return F.unfold(_mirrored(images), SIDE)[0]


def _mirrored(images: Tensor) -> Tensor:
    """(N, H, W) -> (1, N, H + SIDE - 1, W + SIDE - 1)."""
    return F.pad(images[None], (SIDE // 2,) * 4, mode="reflect")


def _pairs(guides: int) -> list[tuple[int, int]]:
    return [(a, b) for a in range(guides) for b in range(a, guides)]


def _product(a: Tensor, b: Tensor) -> Tensor:
    """Clamped: one bright pixel would outweigh the scene."""
    return (a * b).clamp(-_MOST, _MOST)


def fit_correction(moments: LevelMoments, scales: Scales, mtf: Tensor) -> LevelCorrection | None:
    """Weights from all pixels; of each band, cross-validated, what they take off.

    mtf: (C,) gains by which the MS was brought a level down; a corrected band is blurred alike.
    None: there are too few pixels, or no band gains.
    """
    _, C, size, _ = moments.products.shape
    count = float(moments.products[:, 0, 0, 0].sum())
    if count < _LEAST_SAMPLES * size:
        return None
    weights, shares = torch.zeros(C, size - 1, dtype=torch.float64), torch.zeros(C)
    for band, products in enumerate(moments.products.unbind(1)):
        before = float(products[:, -1, -1].sum())
        after = sum(_error(part, _solved(products.sum(0) - part)) for part in products)
        if after < _WORTH * before:
            weights[band] = _solved(products.sum(0))
            shares[band] = 1 - after / before
    if not bool((shares > 0).any()):
        return None
    guides = len(scales.guide_mean)
    sizes = [1, guides * SIDE**2, len(_pairs(guides)), _OWN]
    constant, around, squares, own = torch.split(weights, sizes, 1)
    return LevelCorrection(
        scales=scales,
        constant=constant[:, 0],
        around=around.reshape(C, guides, SIDE, SIDE),
        squares=squares,
        own=own.reshape(C, 3, SIDE, SIDE),
        share=shares,
        mtf=mtf,
    )


def _solved(products: Tensor) -> Tensor:
    """(S,) weights from one band's moments, the rest last; all but the one are shrunk."""
    left, right = products[:-1, :-1], products[:-1, -1]
    count = left[0, 0].clamp_min(1)
    spread = left.diagonal() / count - (left[0] / count) ** 2
    ridge = (_RIDGE * spread + _TINY) * count
    ridge[0] = 0
    return torch.linalg.solve(left + torch.diag(ridge), right)


def _error(products: Tensor, weights: Tensor) -> float:
    """Square error of the rest by weights, over the pixels of the moments."""
    residual = torch.cat([-weights, weights.new_ones(1)])
    return float(residual @ products @ residual)
