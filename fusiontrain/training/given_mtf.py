"""The MTF that a network is given in training: as inexact as the estimate of `fuse`.

`fuse` estimates one number for all bands, some tenths off (fusion/sensor_model.py). A network that
was given exact MTFs trusts them too much.
"""

from dataclasses import replace

import torch

from fusiontrain.fusion.sensor_model import MTF_LIMITS
from fusiontrain.imaging.pan_batch import PanBatch

_MEAN_CHANCE = 0.5  # that all bands are given their mean


def with_mtf_error(inputs: PanBatch, spread: float) -> PanBatch:
    """The batch with an error on its MTF: one log-normal factor of that spread a sample.

    Half of the samples are given one number for all bands. Random numbers are torch's, on the
    CPU: the same on every device.
    """
    B = inputs.mtf.shape[0]
    factor, chance = torch.randn(B, 1).mul(spread).exp(), torch.rand(B, 1)
    mtf = inputs.mtf.cpu()
    mtf = torch.where(chance < _MEAN_CHANCE, mtf.mean(1, keepdim=True), mtf) * factor
    return replace(inputs, mtf=mtf.clamp(*MTF_LIMITS).to(inputs.mtf))
