"""Blur estimation: the MTF gain from PAN to MS at the MS Nyquist, from the pair alone.

Wald's protocol takes the MS itself for the truth, and the sharpness of real MS differs by far
more than published MTF tables say. The estimate uses the pair at its own resolution.
"""

import math
from collections.abc import Callable
from functools import cache, partial

import torch
from torch import Tensor

from fusiontrain.imaging.filters import blur_to_ms, gain_to_sigma, sigma_to_gain
from fusiontrain.imaging.masks import eroded
from fusiontrain.imaging.neighbourhoods import (
    NEIGHBOURHOOD,
    detail_weight,
    local_gain,
    local_mean,
)
from fusiontrain.imaging.pan_batch import GridPhase

SIGMAS = torch.arange(0.20, 0.92, 0.025)  # of the coarse pixel, so that ratios compare
COARSE = 4  # step of the first search over SIGMAS; the second searches around its best
MIN_GAIN, MAX_GAIN = 0.02, 0.95
MAX_SIDE = 512  # MS pixels; larger scenes are cropped by the callers, the estimate needs no more


def estimate_softness(
    ms: Tensor,
    pan: Tensor,
    ratio: int,
    valid: Tensor | None = None,
    phase: GridPhase = "aligned",
    near: float | None = None,
) -> float:
    """Gain at the MS Nyquist of the Gaussian blur for which the MS best explains the decimated PAN.

    Shapes: ms (C, h, w) and pan (1, H, W), DN; valid (h, w) bool: the MS pixels to use.
    near: a gain from which the search goes downhill; None: over all of SIGMAS.
    Returns: a gain in MIN_GAIN..MAX_GAIN.
    For each sigma the blurred PAN is regressed on all bands and a constant; the sigma of the
    largest R2 wins, refined by a parabola. PAN and MS may differ by any gain and offset.
    """
    ms, pan = ms.double(), pan.double()
    kept = torch.ones_like(ms[0], dtype=torch.bool) if valid is None else valid
    design = torch.cat([ms, torch.ones_like(ms[:1])])[:, kept].T
    q, _ = torch.linalg.qr(design)
    sigmas = SIGMAS.double() * ratio

    def unexplained(index: int) -> float:
        """1 - R2 of the regression of PAN, blurred by sigma `index` and decimated, on the MS."""
        low = blur_to_ms(pan[None], sigmas[index].reshape(1, 1), ratio, phase)[0, 0][kept]
        low = low - low.mean()
        residual = low - q @ (q.T @ low)
        return float(residual.pow(2).sum() / low.pow(2).sum().clamp_min(1e-12))

    return _gain_of_min(unexplained, sigmas, ratio, near)


def estimate_band_softness(
    ms: Tensor,
    pan: Tensor,
    ratio: int,
    valid: Tensor | None = None,
    phase: GridPhase = "aligned",
    *,
    softness: float,
) -> Tensor:
    """(C,) gains at the MS Nyquist, one a band: the median of three estimates.

    Shapes and units as of `estimate_softness`, whose result is `softness`, the first of the three.
    The second is the blur for which PAN correlates best with the band, the third that for which
    it does so in neighbourhoods, where the band is a multiple of PAN of either sign. Each is misled
    by something else: the first where no mix of bands makes the PAN, the second where band and PAN
    share little coarse detail, the third where they share little fine detail.
    """
    kept = torch.ones_like(ms[0], dtype=torch.bool) if valid is None else valid
    sigmas = SIGMAS.double() * ratio
    image, bands = pan.double()[None], ms.double()

    @cache
    def low(index: int) -> Tensor:
        return blur_to_ms(image, sigmas[index].reshape(1, 1), ratio, phase)[0, 0]

    def gains(unexplained: Callable[[Tensor], Tensor]) -> Tensor:
        shares = cache(lambda index: unexplained(low(index)))

        def share(band: int, index: int) -> float:
            return float(shares(index)[band])

        found = [_gain_of_min(partial(share, band), sigmas, ratio) for band in range(len(bands))]
        return torch.tensor(found, dtype=torch.float64)

    of_all = torch.full((len(bands),), softness, dtype=torch.float64)
    by_band = gains(_uncorrelated(bands, kept))
    used = eroded(kept, math.ceil(NEIGHBOURHOOD))
    local = gains(_locally_unexplained(bands, kept, used)) if bool(used.any()) else of_all
    return torch.stack([of_all, by_band, local]).median(0).values


def _uncorrelated(bands: Tensor, kept: Tensor) -> Callable[[Tensor], Tensor]:
    """PAN at the MS pixels -> (C,) one less its squared correlation with each band."""
    values = bands[:, kept] - bands[:, kept].mean(1, keepdim=True)
    energies = values.square().sum(1)

    def of(low: Tensor) -> Tensor:
        pan = low[kept] - low[kept].mean()
        return 1 - (values @ pan).square() / (energies * pan.square().sum()).clamp_min(1e-12)

    return of


def _locally_unexplained(bands: Tensor, kept: Tensor, used: Tensor) -> Callable[[Tensor], Tensor]:
    """PAN at the MS pixels -> (C,) share of each band's detail that is no multiple of PAN's.

    Fill gives way to the mean of what is `kept`; pixels that are `used` have none beside them.
    """

    def detail_of(image: Tensor) -> Tensor:
        image = image.where(kept, image[kept].mean())
        return image - local_mean(image)

    details = [detail_of(band) for band in bands]
    weights = [detail_weight(used, local_mean(detail.square())) for detail in details]

    def of(low: Tensor) -> Tensor:
        pan = detail_of(low)
        power = local_mean(pan.square())
        shares = []
        for detail, weight in zip(details, weights, strict=True):
            gain = local_gain(local_mean(pan * detail), power, pan.square().mean())
            rest = (weight * (detail - gain * pan).square()).sum()
            shares.append(rest / (weight * detail.square()).sum().clamp_min(1e-12))
        return torch.stack(shares)

    return of


def _gain_of_min(
    error: Callable[[int], float], sigmas: Tensor, ratio: int, near: float | None = None
) -> float:
    """The gain of the sigma with the smallest error, refined by a parabola."""
    error = cache(error)
    last = len(sigmas) - 1
    if near is None:
        rough = min(sorted({*range(0, last, COARSE), last}), key=error)
        around = range(max(0, rough - COARSE + 1), min(last, rough + COARSE - 1) + 1)
        best = min(around, key=error)
    else:
        start = float(gain_to_sigma(torch.tensor(near, dtype=torch.float64), ratio))
        best = _downhill(error, int((sigmas - start).abs().argmin()), last)
    sigma = float(sigmas[best])
    if 0 < best < last:
        left, middle, right = (error(i) for i in (best - 1, best, best + 1))
        curve = left - 2 * middle + right
        if curve > 0:
            sigma += 0.5 * (left - right) / curve * float(sigmas[1] - sigmas[0])
    gain = float(sigma_to_gain(torch.tensor(sigma), ratio))
    return min(max(gain, MIN_GAIN), MAX_GAIN) if math.isfinite(gain) else MAX_GAIN


def _downhill(error: Callable[[int], float], start: int, last: int) -> int:
    """The local minimum of `error` that is reached from `start`, in 0..last."""
    best = start
    while True:
        around = range(max(0, best - 1), min(last, best + 1) + 1)
        lower = min(around, key=error)
        if error(lower) >= error(best):
            return best
        best = lower
