"""Multi-resolution analysis: AWLP and the MTF-GLP family. Fused: (B, C, H, W) DN."""

import torch
from torch import Tensor

from fusiontrain.classical.images import TINY, MethodInputs
from fusiontrain.classical.modulation import modulated, proportion
from fusiontrain.classical.statistics import SceneStatistics


def awlp(f: MethodInputs, statistics: SceneStatistics) -> Tensor:
    """Additive wavelet luminance proportional: PAN's wavelet planes in the bands' proportions.

    Source: Otazu et al. 2005, IEEE TGRS 43(10):2376-2385; PAN's spread is matched at MS scale
    as in Alparone, Garzelli and Vivone 2017, IEEE TGRS 55(8):4682-4695.
    """
    moments, C = statistics.moments("bicubic"), f.bands
    gain = moments.spread[:, :C] / moments.spread[:, C + 1 :].clamp_min(TINY)
    details = f.pan - f.wavelet_low(f.pan)
    return f.up + details * f.per_band(gain) * proportion(f)


def mtf_glp(f: MethodInputs, statistics: SceneStatistics) -> Tensor:
    """Generalised Laplacian pyramid; PAN brought to each band's mean and spread first.

    Source: Aiazzi, Alparone, Baronti, Garzelli and Selva 2006, PE&RS 72(5):591-596.
    """
    pan, low = _equalised(f, statistics)
    return f.up + pan - low


def mtf_glp_hpm(f: MethodInputs, statistics: SceneStatistics) -> Tensor:
    """The same details, multiplied in. Source: Vivone et al. 2014, IEEE GRSL 11(5):930-934."""
    pan, low = _equalised(f, statistics)
    level = f.per_band(statistics.moments("gauss").mean[:, : f.bands])
    return modulated(f, f.up, pan, low, level=level)


def mtf_glp_cbd(f: MethodInputs, statistics: SceneStatistics) -> Tensor:
    """Gains by regression at MS resolution, one block.

    Source: Alparone et al. 2007, IEEE TGRS 45(10):3012-3021.
    """
    return f.up + f.per_band(_gain_at_ms(statistics, f.bands)) * (f.pan - f.pan_low)


def mtf_glp_fs(f: MethodInputs, statistics: SceneStatistics) -> Tensor:
    """Gains by regression at full scale.

    Source: Vivone, Restaino and Chanussot 2018, IEEE TIP 27(7):3418-3431.
    """
    C = f.bands
    with_pan = statistics.moments("pyramid").covariance[:, C]
    above, below = with_pan[:, :C], with_pan[:, C + 1 :]
    # A band that does not correlate with its low-passed PAN gets no detail.
    gain = torch.where(below > TINY, above / below.clamp_min(TINY), 0.0)
    return f.up + f.per_band(gain) * (f.pan - f.pan_low)


def mtf_glp_hpm_r(f: MethodInputs, statistics: SceneStatistics) -> Tensor:
    """Multiplied in after a regression that accounts for PAN's own offset.

    Source: Vivone, Restaino and Chanussot 2018, IEEE TGRS 56(12):6891-6904.
    """
    moments, C = statistics.moments("pyramid"), f.bands
    gain = _gain_at_ms(statistics, C)
    explained = gain.abs() > TINY
    offset = f.per_band(
        moments.mean[:, :C] / gain.where(explained, 1.0) - moments.mean[:, C : C + 1]
    )
    slope = f.per_band(gain.where(explained, 1.0))
    level = f.per_band(moments.mean[:, C : C + 1]) + offset
    pan, low = f.pan + offset, f.pan_low + offset
    fused = modulated(f, f.up, pan, low, level=level, typical=slope)
    # A band that does not correlate with PAN gets no detail.
    return torch.where(explained[..., None, None], fused, f.up)


def _gain_at_ms(statistics: SceneStatistics, C: int) -> Tensor:
    """(B, C): covariance of band and low-passed PAN over the latter's variance."""
    covariance = statistics.moments("pyramid").covariance
    bands = torch.arange(C, device=covariance.device)
    above, below = covariance[:, bands, C + 1 + bands], covariance[:, C + 1 + bands, C + 1 + bands]
    return above / below.clamp_min(TINY)


def _equalised(f: MethodInputs, statistics: SceneStatistics) -> tuple[Tensor, Tensor]:
    """PAN with each band's mean, and its spread at MS resolution; and that low-passed."""
    moments, C = statistics.moments("gauss"), f.bands
    gain = moments.spread[:, :C] / moments.spread[:, C + 1 :].clamp_min(TINY)
    pan = (f.pan - f.per_band(moments.mean[:, C : C + 1])) * f.per_band(gain)
    pan = pan + f.per_band(moments.mean[:, :C])
    return pan, f.through_mtf(pan)
