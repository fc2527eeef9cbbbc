"""Component substitution: EXP, GS, GSA, BT-H. Functions PanBatch -> (B, C, H, W), DN."""

import torch
from torch import Tensor

from fusiontrain.batch import Convention, PanBatch
from fusiontrain.classical.frame import (
    TINY,
    combine,
    covariance,
    frame_of,
    mean,
    regress,
    spread,
)

# Shares of the first percentile that are haze in blue, green, red and near infrared.
_HAZE_BGRN = (0.95, 0.45, 0.40, 0.05)


def exp(batch: PanBatch, convention: Convention = "aligned") -> Tensor:
    """MS on the PAN's grid, no detail added: the floor of every comparison."""
    return frame_of(batch, convention).up.to(batch.ms.dtype)


def gs(batch: PanBatch, convention: Convention = "aligned") -> Tensor:
    """Gram-Schmidt, the mean of the bands as intensity.

    Source: Laben and Brower 2000, US patent 6,011,875.
    """
    f = frame_of(batch, convention)
    intensity = f.up.mean(1, keepdim=True)
    pan = (f.pan - mean(f.pan)) * spread(intensity) / spread(f.pan) + mean(intensity)
    return _substitute(f.up, intensity, pan).to(batch.ms.dtype)


def gsa(batch: PanBatch, convention: Convention = "aligned") -> Tensor:
    """Gram-Schmidt adaptive: intensity by regression of the low-passed PAN on the MS bands.

    Source: Aiazzi, Baronti and Selva 2007, IEEE TGRS 45(10):3230-3239.
    """
    f = frame_of(batch, convention)
    low = f.pan_at_ms()
    one = torch.ones_like(low)
    weights = regress(low, torch.cat([f.ms - mean(f.ms), one], 1))
    centred = torch.cat([f.up - mean(f.up), torch.ones_like(f.pan)], 1)
    intensity = combine(weights, centred)
    return _substitute(f.up, intensity - mean(intensity), f.pan - mean(f.pan)).to(batch.ms.dtype)


def bt_h(batch: PanBatch, convention: Convention = "aligned") -> Tensor:
    """Brovey with haze correction. Four bands are taken as blue, green, red, near infrared.

    Source: Lolli et al. 2017, IEEE GRSL 14(12):2255-2259. Haze: shares of the first percentile
    for four bands, each band's minimum otherwise, as in the toolbox.
    """
    f = frame_of(batch, convention)
    if f.up.shape[1] == len(_HAZE_BGRN):
        haze = _first_percentile(f.up) * f.up.new_tensor(_HAZE_BGRN)[:, None, None]
    else:
        haze = f.up.amin((-2, -1), keepdim=True)
    low = f.pan_gauss()
    clear = f.up - haze
    intensity = combine(regress(low, f.up), clear)
    pan = (f.pan - mean(low)) * spread(intensity) / spread(low) + mean(intensity)
    return (clear * pan / (intensity + TINY) + haze).to(batch.ms.dtype)


def _substitute(up: Tensor, intensity: Tensor, pan: Tensor) -> Tensor:
    gain = covariance(intensity, up) / covariance(intensity, intensity).clamp_min(TINY)
    fused = up + gain * (pan - intensity)
    return fused - mean(fused) + mean(up)


def _first_percentile(image: Tensor) -> Tensor:
    """MATLAB's prctile(x, 1): the k-th of n sorted values is percentile (k - 1/2) / n."""
    values = image.flatten(-2).sort(-1).values
    n = values.shape[-1]
    place = min(max(0.01 * n - 0.5, 0.0), n - 1.0)
    below, part = int(place), place - int(place)
    above = min(below + 1, n - 1)
    return ((1 - part) * values[..., below] + part * values[..., above])[..., None, None]
