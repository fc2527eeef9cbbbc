"""GSA."""

import torch
from torch import Tensor

from fusiontrain.batch import PanBatch
from fusiontrain.filters import degrade, upsample


def gsa(batch: PanBatch) -> Tensor:
    """Gram-Schmidt adaptive: intensity by regression of the low-passed PAN on the MS bands.

    PAN is low-passed by the mean MTF of the bands. Float64 inside.
    Source: Aiazzi, Baronti and Selva 2007, IEEE TGRS 45(10):3230-3239.
    """
    ms, pan = batch.ms.double(), batch.pan.double()
    up = upsample(ms, batch.ratio)
    low = degrade(pan, batch.mtf.double().mean(1, keepdim=True), batch.ratio)
    design = torch.cat([ms, torch.ones_like(low)], 1).flatten(2).mT  # (B, hw, C + 1)
    weights = torch.linalg.lstsq(design, low.flatten(2).mT).solution  # (B, C + 1, 1)
    intensity = (up * weights[:, :-1, :, None]).sum(1, keepdim=True)
    intensity = intensity - intensity.mean((-2, -1), keepdim=True)
    centred = up - up.mean((-2, -1), keepdim=True)
    variance = (intensity**2).mean((-2, -1), keepdim=True)
    gain = (intensity * centred).mean((-2, -1), keepdim=True) / variance.clamp_min(1e-12)
    detail = pan - pan.mean((-2, -1), keepdim=True) - intensity
    return (up + gain * detail).to(batch.ms.dtype)
