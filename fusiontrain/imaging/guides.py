"""A PAN a band, made from several sharp bands (guides). Axes as in pan_batch.py; G guides.

Each band is regressed on a constant and the guides at the band's own scale, that is the guides
through the band's MTF and decimated. The same weights of the sharp guides are its PAN (synthesis);
or its PAN is the one guide that explains it best (selection). Folds of the scene that the
regression did not use decide between the two, and say how much of the band they explain.
Sources: synthesis, Selva et al. 2015, IEEE JSTARS 8(6):3008-3019; both on Sentinel-2, Vaiopoulos
and Karantzalos 2016, ISPRS Archives XLI-B7:755-761.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from fusiontrain.errors import SceneError
from fusiontrain.imaging.filters import degrade
from fusiontrain.imaging.pan_batch import GridPhase

PanSource = Literal["synthesis", "selection"]
FOLDS = 4
_BLOCK = 16  # MS pixels a side of the blocks of which a fold is made, in scenes of four and more
_RIDGE = 1e-6  # relative to the guides' mean variance: equal guides share their weight
_TINY = 1e-6  # DN^2


@dataclass(slots=True)
class GuideMoments:
    """Sums over MS pixels, float64, of [1, guides at the band's scale, band]; windows add with +.

    Values are relative to `about`, so that the products keep their digits.
    """

    products: Tensor  # (FOLDS, C, G + 2, G + 2)
    about: tuple[Tensor, Tensor]  # (G,) of the guides, (C,) of the bands; DN

    @property
    def count(self) -> int:
        """MS pixels."""
        return round(float(self.products[:, 0, 0, 0].sum()))

    def __add__(self, other: "GuideMoments") -> "GuideMoments":
        return GuideMoments(self.products + other.products, self.about)


@dataclass(frozen=True, kw_only=True, slots=True)
class GuideFit:
    """How each band's PAN is made of the guides, and how well it explains the band."""

    weights: Tensor  # (C, G) float64, DN of the band per DN of the guide
    offset: Tensor  # (C,) DN
    r2: Tensor  # (C,) of blocks of the scene that the weights were not fitted on
    sources: tuple[PanSource, ...]  # one a band
    guide_mean: Tensor  # (G,) DN, at the first band's scale
    guide_std: Tensor

    def pan(self, guides: Tensor) -> Tensor:
        """(G, H, W) DN -> (C, H, W) DN of the bands, float32."""
        out = guides.new_empty(len(self.weights), *guides.shape[1:])
        for own, weights, offset in zip(out, self.weights, self.offset, strict=True):
            own.fill_(float(offset))  # guide by guide: the same sums in every window
            for guide, weight in zip(guides, weights.tolist(), strict=True):
                own.add_(guide, alpha=weight)
        return out

    def only(self, band: int) -> "GuideFit":
        """That of one band."""
        return GuideFit(
            weights=self.weights[band : band + 1],
            offset=self.offset[band : band + 1],
            r2=self.r2[band : band + 1],
            sources=self.sources[band : band + 1],
            guide_mean=self.guide_mean,
            guide_std=self.guide_std,
        )


def guide_moments(
    ms: Tensor,
    guides: Tensor,
    mtf: Tensor,
    ratio: int,
    *,
    about: tuple[Tensor, Tensor],
    valid: Tensor,
    core: tuple[slice, slice],
    origin: tuple[int, int],
    shape: tuple[int, int],
    phase: GridPhase = "aligned",
) -> GuideMoments:
    """Moments of the core of a window.

    Shapes: ms (C, h, w), guides (G, H, W), DN; mtf (C,) gains; valid (h, w) bool: the MS pixels
            to use. `core`: rows and columns of the window's MS pixels; `origin`: the row and
            column of the first of these in the scene of `shape`, by which they belong to a fold.
    """
    rows, columns = core
    folds = block_folds(rows.stop - rows.start, columns.stop - columns.start, origin, shape)
    used = [(valid[rows, columns] & (folds == fold)).flatten() for fold in range(FOLDS)]
    bands = (ms[:, rows, columns].double() - about[1][:, None, None]).flatten(1)
    centred = guides - about[0].to(guides)[:, None, None]
    G, products = len(guides), torch.zeros(FOLDS, len(ms), len(guides) + 2, len(guides) + 2)
    products = products.double()
    for gain in sorted(set(mtf.tolist())):
        low = degrade(centred[None], torch.full((1, G), gain), ratio, phase)[0, :, rows, columns]
        low = low.double().flatten(1)
        for band in (mtf == gain).nonzero()[:, 0].tolist():
            channels = torch.cat([torch.ones_like(low[:1]), low, bands[band : band + 1]])
            for fold, mask in enumerate(used):
                part = channels[:, mask]
                products[fold, band] = part @ part.T
    return GuideMoments(products, about)


def block_folds(h: int, w: int, origin: tuple[int, int], shape: tuple[int, int]) -> Tensor:
    """(h, w): which of the four folds an MS pixel belongs to, by its block in the scene."""
    block = max(1, min(_BLOCK, min(shape) // 4))
    down, along = (
        torch.arange(start, start + size) // block % 2
        for start, size in zip(origin, (h, w), strict=True)
    )
    return 2 * down[:, None] + along


def fit_guides(moments: GuideMoments) -> GuideFit:
    """Weights from all pixels, the kind of PAN and R2 by cross-validation over the folds.

    Raises: SceneError if too few MS pixels have data.
    """
    folds, (of_guides, of_bands) = moments.products, moments.about
    whole = folds.sum(0)
    G = whole.shape[-1] - 2
    if float(whole[0, 0, 0]) < 4 * (G + 1):
        raise SceneError(
            f"only {int(whole[0, 0, 0])} pixels have data in the bands and all guides; expected at "
            f"least {4 * (G + 1)}"
        )
    candidates: list[tuple[PanSource, tuple[int, ...]]] = [("selection", (g,)) for g in range(G)]
    if G > 1:
        candidates.insert(0, ("synthesis", tuple(range(G))))
    scores = torch.stack([_cross_validated(folds, guides) for _, guides in candidates])
    best = scores.argmax(0)
    weights = torch.zeros(len(whole), G, dtype=torch.float64)
    offset = torch.zeros(len(whole), dtype=torch.float64)
    for band, choice in enumerate(best.tolist()):
        guides = candidates[choice][1]
        solution = _solve(whole[band : band + 1], guides)[0]
        weights[band, list(guides)] = solution[1:]
        offset[band] = of_bands[band] + solution[0] - (weights[band] * of_guides).sum()
    count, sums = whole[0, 0, 0], whole[0, 0, 1:-1]
    squares = whole[0].diagonal()[1:-1] / count - (sums / count) ** 2
    return GuideFit(
        guide_mean=of_guides + sums / count,
        guide_std=squares.clamp_min(_TINY).sqrt(),
        weights=weights,
        offset=offset,
        r2=scores.amax(0),
        sources=tuple(candidates[choice][0] for choice in best.tolist()),
    )


def _solve(products: Tensor, guides: tuple[int, ...]) -> Tensor:
    """(C, 1 + n): the constant and the weights of some guides, from moments (C, G + 2, G + 2)."""
    kept = [0, *(g + 1 for g in guides)]
    left, right = products[:, kept][:, :, kept], products[:, kept, -1:]
    count = left[:, :1, :1].clamp_min(1)
    spread = left.diagonal(dim1=1, dim2=2)[:, 1:] / count[..., 0]
    ridge = torch.zeros_like(left[:, 0])
    ridge[:, 1:] = (_RIDGE * spread.mean(1, keepdim=True) + _TINY) * count[..., 0]
    return torch.linalg.solve(left + torch.diag_embed(ridge), right)[..., 0]


def _cross_validated(folds: Tensor, guides: tuple[int, ...]) -> Tensor:
    """(C,) R2 of each fold explained by the weights of the others; 0 for a constant band."""
    kept = [0, *(g + 1 for g in guides), folds.shape[-1] - 1]
    whole, error = folds.sum(0), torch.zeros(folds.shape[1], dtype=torch.float64)
    for fold in folds:
        if float((whole - fold)[0, 0, 0]) < 4 * (len(guides) + 1):
            error += fold[:, -1, -1]  # too few others: nothing is explained
            continue
        solution = _solve(whole - fold, guides)
        residual = torch.cat([-solution, torch.ones_like(solution[:, :1])], 1)  # [1, guides, band]
        part = fold[:, kept][:, :, kept]
        error += torch.einsum("ci,cij,cj->c", residual, part, residual)
    count = whole[:, 0, 0].clamp_min(1)
    total = whole[:, -1, -1] - whole[:, 0, -1] ** 2 / count
    return torch.where(total > _TINY * count, 1 - error / total.clamp_min(_TINY), 0.0)
