"""How soft an MS is: the blur that best explains it from its own PAN. No ground truth.

The wanted image of Wald's protocol is the MS itself, and real MS differ by far more than
published MTF rows say. The estimate uses the pair at its own resolution.
"""

import math
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from fusiontrain.imaging.filters import sigma_to_gain, to_ms
from fusiontrain.imaging.pan_batch import GridPhase

SIGMAS = torch.arange(0.20, 0.90, 0.025)  # of the coarse pixel, so that ratios compare
COARSE = 4  # every so many are tried first, then those around the best
LEAST, MOST = 0.05, 0.95
MAX_SIDE = 512  # MS pixels that suffice; callers give no more


def estimate_softness(
    ms: Tensor,
    pan: Tensor,
    ratio: int,
    valid: Tensor | None = None,
    phase: GridPhase = "aligned",
) -> float:
    """Gain at the MS's Nyquist of the Gaussian by which PAN, decimated, is best explained by MS.

    Shapes: (C, h, w), (1, H, W) DN, valid (h, w) bool: the MS pixels to go by.
    For each sigma the blurred PAN is regressed on all bands and a constant; the sigma of the
    largest R2 wins, refined by a parabola. PAN and MS may differ by any gain and offset.
    """
    ms, pan = ms.double(), pan.double()
    kept = torch.ones_like(ms[0], dtype=torch.bool) if valid is None else valid
    design = torch.cat([ms, torch.ones_like(ms[:1])])[:, kept].T
    q, _ = torch.linalg.qr(design)
    sigmas = SIGMAS.double() * ratio

    def unexplained(index: int) -> float:
        """The part of PAN's variance, seen through sigma `index`, that MS leaves unexplained."""
        seen = to_ms(pan[None], sigmas[index].reshape(1, 1), ratio, phase)[0, 0][kept]
        seen = seen - seen.mean()
        rest = (seen - q @ (q.T @ seen)).pow(2).sum() / seen.pow(2).sum().clamp_min(1e-12)
        return float(rest)

    return _gain_of_least(unexplained, sigmas, ratio)


def estimate_band_softness(
    ms: Tensor,
    pan: Tensor,
    ratio: int,
    valid: Tensor | None = None,
    phase: GridPhase = "aligned",
) -> Tensor:
    """The same, (C,): for each band the blur at which PAN correlates best with it alone.

    Shapes and units as above. What PAN and a band do not share counts as noise here, which makes
    it less sure than one number from all bands; what it gains: docs/guides/fuse.md.
    """
    kept = torch.ones_like(ms[0], dtype=torch.bool) if valid is None else valid
    sigmas = SIGMAS.double() * ratio
    bands = ms.double()[:, kept]
    bands = bands - bands.mean(1, keepdim=True)

    @cache
    def uncorrelated(index: int) -> Tensor:
        seen = to_ms(pan.double()[None], sigmas[index].reshape(1, 1), ratio, phase)[0, 0][kept]
        seen = seen - seen.mean()
        sizes = (bands.pow(2).sum(1) * seen.pow(2).sum()).clamp_min(1e-12)
        return 1 - (bands @ seen).pow(2) / sizes

    def of(band: int) -> float:
        return _gain_of_least(lambda index: float(uncorrelated(index)[band]), sigmas, ratio)

    return torch.tensor([of(band) for band in range(len(bands))], dtype=torch.float64)


def _gain_of_least(error: Callable[[int], float], sigmas: Tensor, ratio: int) -> float:
    """The gain of the sigma whose error is the least, refined by a parabola."""
    error = cache(error)
    last = len(sigmas) - 1
    rough = min(sorted({*range(0, last, COARSE), last}), key=error)
    best = min(range(max(0, rough - COARSE + 1), min(last, rough + COARSE - 1) + 1), key=error)
    sigma = float(sigmas[best])
    if 0 < best < last:
        left, middle, right = (error(i) for i in (best - 1, best, best + 1))
        curve = left - 2 * middle + right
        if curve > 0:
            sigma += 0.5 * (left - right) / curve * float(sigmas[1] - sigmas[0])
    gain = float(sigma_to_gain(torch.tensor(sigma), ratio))
    return min(max(gain, LEAST), MOST) if math.isfinite(gain) else MOST
