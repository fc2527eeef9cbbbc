"""BDSD."""

import torch
from torch import Tensor

from fusiontrain.batch import Convention, PanBatch
from fusiontrain.classical.frame import combine, frame_of, regress
from shards.sensors import NOMINAL_PAN


def bdsd(
    batch: PanBatch, convention: Convention = "aligned", mtf_pan: float = NOMINAL_PAN
) -> Tensor:
    """Band-dependent spatial detail, one global block: (B, C, H, W) DN.

    The weights that restore the MS one level down, from its bands and PAN, are used here.
    Source: Garzelli, Nencini and Capobianco 2008, IEEE TGRS 46(1):228-236.
    """
    f = frame_of(batch, convention)
    ms, low, pan = f.one_level_down(mtf_pan)
    weights = regress(ms - low, torch.cat([low, pan], 1))
    detail = combine(weights, torch.cat([f.up, f.pan], 1))
    return (f.up + detail).to(batch.ms.dtype)
