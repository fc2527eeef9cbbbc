"""Component substitution: EXP, Brovey, PCA, GS, GSA, BT-H. Fused: (B, C, H, W) DN."""

import torch
from torch import Tensor

from fusiontrain.classical.images import TINY, MethodInputs, combine
from fusiontrain.classical.modulation import modulated, proportion
from fusiontrain.classical.statistics import SceneStatistics

# Shares of the first percentile that are haze in blue, green, red and near infrared.
_HAZE_BGRN = (0.95, 0.45, 0.40, 0.05)


def exp(f: MethodInputs, _: SceneStatistics) -> Tensor:
    """MS on the PAN's grid, no detail added: the least that any method should reach."""
    return f.up


def brovey(f: MethodInputs, _: SceneStatistics) -> Tensor:
    """Each band times PAN over the weighted sum of the bands; equal weights, no statistics.

    As GDAL's pansharpening does it by default (gdal_pansharpen, "weighted Brovey"), save for
    the interpolation of MS. Source: Gillespie, Kahle and Walker 1987, RSE 22(3):343-365.
    """
    intensity = f.up.mean(1, keepdim=True)
    if float(f.up.amin()) > 0:  # as nearly everywhere: nothing to bound, in a fifth of the time
        return f.up * (f.pan / intensity)
    lit = intensity != 0
    fused = f.up * torch.where(lit, f.pan / intensity, 1.0)
    if f.toolbox:
        return fused
    share = proportion(f)
    return torch.where(share == f.up / intensity, fused, f.up + share * (f.pan - intensity))


def pca(f: MethodInputs, statistics: SceneStatistics) -> Tensor:
    """PAN in place of the first principal component.

    The component's sign is the one that goes with PAN. Source: Chavez, Sides and Anderson
    1991, PE&RS 57(3):295-303.
    """
    moments, C = statistics.moments("bands"), f.bands
    covariance = moments.covariance
    first = torch.linalg.eigh(covariance[:, :C, :C]).eigenvectors[..., -1]  # (B, C)
    along = (first * covariance[:, :C, C]).sum(-1, keepdim=True)
    first = torch.where(along < 0, -first, first)
    strength = torch.einsum("bi,bij,bj->b", first, covariance[:, :C, :C], first).clamp_min(0).sqrt()
    component = combine(first[..., None], f.up - f.per_band(moments.mean[:, :C]))
    scale = strength[:, None] / moments.spread[:, C:].clamp_min(TINY)
    pan = (f.pan - f.per_band(moments.mean[:, C:])) * f.per_band(scale)
    return f.up + f.per_band(first) * (pan - component)


def gs(f: MethodInputs, statistics: SceneStatistics) -> Tensor:
    """Gram-Schmidt, the mean of the bands as intensity.

    Source: Laben and Brower 2000, US patent 6,011,875.
    """
    moments, C = statistics.moments("bands"), f.bands
    weights = moments.mean.new_full((moments.mean.shape[0], C), 1 / C)
    variance, _ = _intensity_moments(moments.covariance[:, :C, :C], weights)
    scale = variance.sqrt()[:, None] / moments.spread[:, C:].clamp_min(TINY)
    pan = (f.pan - f.per_band(moments.mean[:, C:])) * f.per_band(scale)
    return _substitute(f, statistics, weights, pan)


def gsa(f: MethodInputs, statistics: SceneStatistics) -> Tensor:
    """Gram-Schmidt adaptive: intensity by regression of the low-passed PAN on the MS bands.

    Source: Aiazzi, Baronti and Selva 2007, IEEE TGRS 45(10):3230-3239.
    """
    C = f.bands
    weights = statistics.moments("coarse").regress([C], range(C), constant=True)[..., 0]
    mean = statistics.moments("bands").mean
    return _substitute(f, statistics, weights, f.pan - f.per_band(mean[:, C:]))


def bt_h(f: MethodInputs, statistics: SceneStatistics) -> Tensor:
    """Brovey with haze correction. Four bands are taken as blue, green, red, near infrared.

    Source: Lolli et al. 2017, IEEE GRSL 14(12):2255-2259. Haze: shares of the first percentile
    for four bands, each band's minimum otherwise, as in the toolbox.
    """
    moments, C = statistics.moments("gauss"), f.bands
    haze = statistics.darkest()
    if len(_HAZE_BGRN) == C:
        haze = haze * haze.new_tensor(_HAZE_BGRN)
    weights = moments.regress([C + 1], range(C), constant=False)[..., 0]
    variance, _ = _intensity_moments(moments.covariance[:, :C, :C], weights)
    mean = (weights * (moments.mean[:, :C] - haze)).sum(-1, keepdim=True)
    scale = variance.sqrt()[:, None] / moments.spread[:, C + 1 :].clamp_min(TINY)
    clear = f.up - f.per_band(haze)
    intensity = combine(weights[..., None], clear)
    low_mean = moments.mean[:, C + 1 :]
    pan = (f.pan - f.per_band(low_mean)) * f.per_band(scale) + f.per_band(mean)
    band_means = (moments.mean[:, :C] - haze).clamp_min(TINY)
    typical = f.per_band(band_means / mean.where(mean > TINY, 1.0))
    fused = modulated(
        f, clear.clamp_min(0), pan, intensity, level=f.per_band(mean), typical=typical
    )
    return fused + f.per_band(haze)


def _intensity_moments(covariance: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Variance (B,) of the weighted sum of the bands, and its covariance (B, C) with each."""
    with_bands = torch.einsum("bij,bj->bi", covariance, weights)
    return (weights * with_bands).sum(-1).clamp_min(0), with_bands


def _substitute(
    f: MethodInputs, statistics: SceneStatistics, weights: Tensor, pan: Tensor
) -> Tensor:
    """Up + gains * (pan - intensity), `pan` without its mean; means of the bands are kept."""
    moments, C = statistics.moments("bands"), f.bands
    variance, with_bands = _intensity_moments(moments.covariance[:, :C, :C], weights)
    gain = with_bands / variance[:, None].clamp_min(TINY)
    # The bands' means leave after the sum: one band is then subtracted from, not all.
    mean = (weights * moments.mean[:, :C]).sum(-1, keepdim=True)
    intensity = combine(weights[..., None], f.up) - f.per_band(mean)
    return torch.addcmul(f.up, f.per_band(gain), pan - intensity)
