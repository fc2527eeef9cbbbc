"""Multi-resolution analysis: the MTF-GLP family. Functions PanBatch -> (B, C, H, W), DN."""

import torch
from torch import Tensor

from fusiontrain.batch import Convention, PanBatch
from fusiontrain.classical.frame import TINY, Frame, covariance, frame_of, mean, spread


def mtf_glp(batch: PanBatch, convention: Convention = "aligned") -> Tensor:
    """Generalised Laplacian pyramid; PAN brought to each band's mean and spread first.

    Source: Aiazzi, Alparone, Baronti, Garzelli and Selva 2006, PE&RS 72(5):591-596.
    """
    f = frame_of(batch, convention)
    pan = _equalised(f)
    return (f.up + pan - f.through_mtf(pan)).to(batch.ms.dtype)


def mtf_glp_hpm(batch: PanBatch, convention: Convention = "aligned") -> Tensor:
    """The same details, multiplied in. Source: Vivone et al. 2014, IEEE GRSL 11(5):930-934."""
    f = frame_of(batch, convention)
    pan = _equalised(f)
    return (f.up * pan / (f.through_mtf(pan) + TINY)).to(batch.ms.dtype)


def mtf_glp_cbd(batch: PanBatch, convention: Convention = "aligned") -> Tensor:
    """Gains by regression at MS resolution, one block.

    Source: Alparone et al. 2007, IEEE TGRS 45(10):3012-3021.
    """
    f, pan, low = _pyramid(batch, convention)
    gain = covariance(f.up, low) / covariance(low, low).clamp_min(TINY)
    return (f.up + gain * (pan - low)).to(batch.ms.dtype)


def mtf_glp_fs(batch: PanBatch, convention: Convention = "aligned") -> Tensor:
    """Gains by regression at full scale.

    Source: Vivone, Restaino and Chanussot 2018, IEEE TIP 27(7):3418-3431.
    """
    f, pan, low = _pyramid(batch, convention)
    below = covariance(low, pan)
    # A band whose low-passed PAN says nothing of PAN gets no detail.
    gain = torch.where(below > TINY, covariance(f.up, pan) / below.clamp_min(TINY), 0.0)
    return (f.up + gain * (pan - low)).to(batch.ms.dtype)


def mtf_glp_hpm_r(batch: PanBatch, convention: Convention = "aligned") -> Tensor:
    """Multiplied in after a regression that accounts for PAN's own offset.

    Source: Vivone, Restaino and Chanussot 2018, IEEE TGRS 56(12):6891-6904.
    """
    f, pan, low = _pyramid(batch, convention)
    gain = covariance(f.up, low) / covariance(low, low).clamp_min(TINY)
    explained = gain.abs() > TINY
    offset = mean(f.up) / gain.where(explained, 1.0) - mean(pan)
    fused = f.up * (pan + offset) / (low + offset + TINY)
    # A band that PAN says nothing of gets no detail.
    return torch.where(explained, fused, f.up).to(batch.ms.dtype)


def _pyramid(batch: PanBatch, convention: Convention) -> tuple[Frame, Tensor, Tensor]:
    f = frame_of(batch, convention)
    pan = f.pan.expand_as(f.up)
    return f, pan, f.through_mtf(pan)


def _equalised(f: Frame) -> Tensor:
    """(B, C, H, W): PAN with each band's mean, and its spread at MS resolution."""
    return (f.pan - mean(f.pan)) * spread(f.up) / spread(f.pan_gauss()) + mean(f.up)
