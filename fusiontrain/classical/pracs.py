"""PRACS. Fused: (B, C, H, W) DN."""

import torch
from torch import Tensor

from fusiontrain.classical.images import TINY, MethodInputs, combine
from fusiontrain.classical.statistics import SceneStatistics, matched_bands

_SHARE = 0.95  # of the details, for 11 bits and more


def pracs(f: MethodInputs, statistics: SceneStatistics) -> Tensor:
    """Partial replacement adaptive component substitution.

    Each band gets an intensity of its own: part PAN, part the band, by how well the bands
    explain the low-passed PAN. Source: Choi, Yu and Kim 2011, IEEE TGRS 49(1):295-309.
    """
    C = f.bands
    moments = statistics.moments("matched")
    matched, low, pan_low = range(C), range(C, 2 * C), 2 * C + 1
    ups = torch.arange(2 * C + 2, 3 * C + 2)
    covariance = moments.covariance
    weights = moments.regress([pan_low], matched, constant=True)  # (B, C, 1)
    among = covariance[:, :C, :C]
    # How each band goes with the intensity that the bands make of PAN.
    with_intensity = (among @ weights)[..., 0]
    intensity_spread = (weights.mT @ among @ weights)[:, 0].clamp_min(0).sqrt()
    share = with_intensity / (intensity_spread * moments.spread[:, :C]).clamp_min(TINY)
    bands = matched_bands(f, statistics)
    high = f.per_band(share) * f.pan + f.per_band(1 - share) * bands
    # Low-passing is linear: the regression of the low-passed `high` follows from its parts'.
    of_pan = moments.regress([pan_low], matched, constant=True)
    of_bands = moments.regress(low, matched, constant=True)
    mix = share[:, None] * of_pan + (1 - share)[:, None] * of_bands  # (B, C, C)
    low_mean = share * moments.mean[:, [pan_low]] + (1 - share) * moments.mean[:, C : 2 * C]
    offset = low_mean - torch.einsum("bkd,bk->bd", mix, moments.mean[:, :C])
    intensity = combine(mix, bands) + f.per_band(offset)
    high_mean = share * moments.mean[:, [2 * C]] + (1 - share) * moments.mean[:, :C]
    detail = high - intensity - f.per_band(high_mean - low_mean)
    spread = moments.spread[:, ups]
    with_ups = torch.einsum("bkd,bkd->bd", mix, covariance[:, :C][:, :, ups])
    own = torch.einsum("bkd,bkl,bld->bd", mix, among, mix).clamp_min(0).sqrt()
    likeness = with_ups / (own * spread).clamp_min(TINY)
    weight = _SHARE * likeness * spread / spread.mean(1, keepdim=True).clamp_min(TINY)
    # How steadily the band follows the intensity, pixel by pixel.
    across = (weights.mT @ covariance[:, :C][:, :, ups])[:, 0]
    follows = across / (intensity_spread * spread).clamp_min(TINY)
    safe = torch.where(intensity.abs() > TINY, intensity, 1.0)
    steady = 1 - (1 - f.per_band(follows) * f.up / safe).abs()
    steady = torch.where(intensity.abs() > TINY, steady, 0.0)
    return f.up + f.per_band(weight) * steady * detail
