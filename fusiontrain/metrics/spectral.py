"""SAM and ERGAS."""

import torch
from torch import Tensor

from fusiontrain.metrics.pair import as_pair


def sam(gt: Tensor, fused: Tensor) -> Tensor:
    """Spectral angle mapper, degrees, () or (N,): mean angle between the pixels' spectra.

    Pixels where either spectrum is all zero have no angle and are left out; if none is left
    the result is 0. Source: Yuhas, Goetz and Boardman 1992, JPL 92-14 1:147-149.
    """
    x, y = as_pair(gt, fused)
    norms = x.norm(dim=1) * y.norm(dim=1)
    valid = norms > 0
    cosine = (x * y).sum(1) / norms.where(valid, 1)
    angle = torch.rad2deg(torch.acos(cosine.clamp(-1, 1))) * valid
    mean = angle.sum((-2, -1)) / valid.sum((-2, -1)).clamp_min(1)
    return mean[0] if gt.ndim == 3 else mean


def ergas(gt: Tensor, fused: Tensor, *, ratio: int = 4) -> Tensor:
    """Relative dimensionless global error in synthesis, () or (N,): 0 is perfect.

    100 / ratio * sqrt(mean over bands of MSE_b / mean(gt_b)^2). A band of zero mean makes it
    infinite unless it is matched exactly.
    Source: Wald 2000, Fusion of Earth Data, 99-103.
    """
    x, y = as_pair(gt, fused)
    mse = ((x - y) ** 2).mean((-2, -1))
    relative = torch.where(mse > 0, mse / x.mean((-2, -1)) ** 2, 0.0)
    value = 100 / ratio * relative.mean(1).sqrt()
    return value[0] if gt.ndim == 3 else value
