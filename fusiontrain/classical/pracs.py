"""PRACS. (Frame, Known) -> (B, C, H, W) DN."""

import torch
from torch import Tensor

from fusiontrain.classical.images import TINY, MethodInputs, SceneStatistics, combine, matched_bands

_SHARE = 0.95  # of the details, for 11 bits and more


def pracs(f: MethodInputs, known: SceneStatistics) -> Tensor:
    """Partial replacement adaptive component substitution.

    Each band gets an intensity of its own: part PAN, part the band, by how well the bands
    explain the low-passed PAN. Source: Choi, Yu and Kim 2011, IEEE TGRS 49(1):295-309.
    """
    C = f.bands
    seen = known.moments("matched")
    matched, low, pan_low = range(C), range(C, 2 * C), 2 * C + 1
    ups = torch.arange(2 * C + 2, 3 * C + 2)
    table = seen.covariance
    weights = seen.regress([pan_low], matched, constant=True)  # (B, C, 1)
    among = table[:, :C, :C]
    # How each band goes with the intensity that the bands make of PAN.
    with_intensity = (among @ weights)[..., 0]
    intensity_spread = (weights.mT @ among @ weights)[:, 0].clamp_min(0).sqrt()
    share = with_intensity / (intensity_spread * seen.spread[:, :C]).clamp_min(TINY)
    bands = matched_bands(f, known)
    high = f.per_band(share) * f.pan + f.per_band(1 - share) * bands
    # Low-passing is linear: the regression of the low-passed `high` follows from its parts'.
    of_pan = seen.regress([pan_low], matched, constant=True)
    of_bands = seen.regress(low, matched, constant=True)
    mix = share[:, None] * of_pan + (1 - share)[:, None] * of_bands  # (B, C, C)
    low_mean = share * seen.mean[:, [pan_low]] + (1 - share) * seen.mean[:, C : 2 * C]
    offset = low_mean - torch.einsum("bkd,bk->bd", mix, seen.mean[:, :C])
    intensity = combine(mix, bands) + f.per_band(offset)
    high_mean = share * seen.mean[:, [2 * C]] + (1 - share) * seen.mean[:, :C]
    detail = high - intensity - f.per_band(high_mean - low_mean)
    spread = seen.spread[:, ups]
    with_ups = torch.einsum("bkd,bkd->bd", mix, table[:, :C][:, :, ups])
    own = torch.einsum("bkd,bkl,bld->bd", mix, among, mix).clamp_min(0).sqrt()
    likeness = with_ups / (own * spread).clamp_min(TINY)
    weight = _SHARE * likeness * spread / spread.mean(1, keepdim=True).clamp_min(TINY)
    # How steadily the band follows the intensity, pixel by pixel.
    across = (weights.mT @ table[:, :C][:, :, ups])[:, 0]
    follows = across / (intensity_spread * spread).clamp_min(TINY)
    safe = torch.where(intensity.abs() > TINY, intensity, 1.0)
    steady = 1 - (1 - f.per_band(follows) * f.up / safe).abs()
    steady = torch.where(intensity.abs() > TINY, steady, 0.0)
    return f.up + f.per_band(weight) * steady * detail
