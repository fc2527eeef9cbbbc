"""A PAN a band by weights of the guides that vary smoothly over the scene. Axes as in guides.py.

What the scene's weights leave of a band is regressed on the guides again in a Gaussian window about
each MS pixel, with a ridge towards none; the coefficients are smoothed and interpolated. A band
whose relation to the guides differs from field to field, as short-wave infrared's does, is then
explained by them nearly as well as a near one.
Source: the guided filter, He, Sun and Tang 2013, IEEE TPAMI 35(6):1397-1409, here at MS scale and
with several guides.
"""

import torch
from torch import Tensor

from fusiontrain.imaging.filters import blur, degrade, upsample
from fusiontrain.imaging.guides import GuideFit, fit_guides, guide_moments
from fusiontrain.imaging.pan_batch import GridPhase

SPREAD = 1.0  # MS pixels: of the window
SMOOTHING = 2.0  # MS pixels: of the coefficients
RIDGE = 1e-3  # of a guide's variance over the scene: detail below it counts as noise
REACH = 24  # MS pixels around a pixel that its PAN depends on
_LEAST_SIDE = 32  # MS pixels: a smaller window cannot say whether local weights help

_WORTH = 0.95  # of the square error: of noise local weights take off .01 to .02


def local_pan(
    ms: Tensor,
    guides: Tensor,
    fit: GuideFit,
    mtf: Tensor,
    ratio: int,
    phase: GridPhase = "aligned",
) -> Tensor:
    """(C, H, W) DN: the PAN of each band by local weights.

    Shapes: ms (C, h, w), guides (G, H, W), DN; mtf (C,) gains.
    """
    level, size = fit.guide_mean[:, None, None], fit.guide_std[:, None, None]
    level, size = level.to(guides), size.to(guides)
    pan = fit.pan(guides)
    centred = (guides - level) / size
    for gain in sorted(set(mtf.tolist())):
        bands = (mtf == gain).nonzero()[:, 0].tolist()
        low = degrade(centred[None], torch.full((1, len(guides)), gain), ratio, phase)[0]
        means = _window(low)
        factor = _factor(low, means)
        for band in bands:
            # The same weights as of sharp guides, since blur keeps levels.
            rest = ms[band] - fit.only(band).pan(low * size + level)[0]
            mean = _window(rest[None])[0]
            weights = _solved(factor, _window(low * rest) - means * mean)
            constant = mean - (weights * means).sum(0)
            both = torch.cat([weights, constant[None]])[None]
            both = blur(both, torch.full(both.shape[:2], SMOOTHING))
            fine = upsample(both, ratio, phase)[0]
            pan[band] += (fine[:-1] * centred).sum(0) + fine[-1]
    return pan


def _window(images: Tensor) -> Tensor:
    """(N, h, w): means in a Gaussian window."""
    return blur(images[None], torch.full((1, len(images)), SPREAD))[0]


def _factor(low: Tensor, means: Tensor) -> list[list[Tensor]]:
    """Cholesky factor, plane by plane, of the guides' covariance in the window and the ridge."""
    G = len(low)
    rows: list[list[Tensor]] = []
    for i in range(G):
        products = _window(low[: i + 1] * low[i]) - means[: i + 1] * means[i]
        row: list[Tensor] = []
        for j in range(i):
            rest = products[j] - sum((row[k] * rows[j][k] for k in range(j)), torch.zeros(()))
            row.append(rest / rows[j][j])
        own = products[i].clamp_min(0) + RIDGE
        own = own - sum((part * part for part in row), torch.zeros(()))
        row.append(own.clamp_min(0.1 * RIDGE).sqrt())
        rows.append(row)
    return rows


def _solved(factor: list[list[Tensor]], right: Tensor) -> Tensor:
    """(G, h, w): the covariance's inverse times `right`."""
    G = len(factor)
    half: list[Tensor] = []
    for i in range(G):
        known = sum((factor[i][k] * half[k] for k in range(i)), torch.zeros(()))
        half.append((right[i] - known) / factor[i][i])
    out: list[Tensor] = [torch.zeros(())] * G
    for i in reversed(range(G)):
        known = sum((factor[k][i] * out[k] for k in range(i + 1, G)), torch.zeros(()))
        out[i] = (half[i] - known) / factor[i][i]
    return torch.stack(out)


def local_helps(
    ms: Tensor, guides: Tensor, mtf: Tensor, ratio: int, valid: Tensor, phase: GridPhase = "aligned"
) -> tuple[bool, ...]:
    """Of each band, whether local weights explain it better than the scene's do.

    Where it is known: the guides brought to the MS's pixels, bands and guides a level of 2 down,
    and each band made again. Shapes as of `local_pan`; valid (h, w) bool. A window too small, or
    with too little data, says no.
    """
    h, w = (side // 2 * 2 for side in ms.shape[1:])
    if min(h, w) < _LEAST_SIDE or float(valid.float().mean()) < 0.5:
        return (False,) * len(ms)
    gains = torch.full((1, len(guides)), float(mtf.mean()))
    ms, low = ms[:, :h, :w], degrade(guides[None], gains, ratio, phase)[0, :, :h, :w]
    lower, seen = degrade(ms[None], mtf[None], 2)[0], valid[:h, :w]
    whole = seen.reshape(h // 2, 2, w // 2, 2).all(-1).all(1)
    moments = guide_moments(
        lower,
        low,
        mtf,
        2,
        about=(low.double().mean((1, 2)), ms.double().mean((1, 2))),
        valid=whole,
        core=(slice(0, h // 2), slice(0, w // 2)),
        origin=(0, 0),
        shape=(h // 2, w // 2),
    )
    fit = fit_guides(moments)
    errors = []
    for pan in (fit.pan(low), local_pan(lower, low, fit, mtf, 2)):
        made = pan + upsample((lower - degrade(pan[None], mtf[None], 2)[0])[None], 2)[0]
        errors.append((made - ms)[:, seen].square().mean(1))
    return tuple((errors[1] < _WORTH * errors[0]).tolist())
