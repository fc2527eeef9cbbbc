"""Less colour of a network's own where the MS is very soft.

What a network adds to the detail injection (injection.py) is of two parts: one that all bands
share, in units of their spread, and one of colour. Of an MS that was delivered very soft
(GaoFen-2, SPOT-6, Pleiades) the second is in part noise of the MS, sharpened: dark objects turn
magenta or red. It is kept by a share that falls with the MTF.
"""

import torch
from torch import Tensor

from fusiontrain.imaging.full_precision import full_precision
from fusiontrain.imaging.injection import (
    injection_images,
    injection_moments,
    statistics_from_moments,
)
from fusiontrain.imaging.pan_batch import PanBatch, move

SOFT, SHARP = 0.12, 0.22  # MTF gains: LEAST_SHARE up to the first, all from the second on
LEAST_SHARE = 0.5
REACH = 52  # PAN pixels at ratio 4 that the injection needs around a pixel


def damped(batch: PanBatch) -> bool:
    """Whether any band of the batch is soft enough for damp_colours to change anything."""
    return bool((batch.mtf < SHARP).any())


def damp_colours(fused: Tensor, around: PanBatch, rows: slice, columns: slice) -> Tensor:
    """`fused` with a share of its colours beyond the injection; `rows`, `columns` of `around`.

    Without statistics in `around`, those of its own images count.
    Shapes: (B, C, rows, columns) DN -> the same.
    """
    with full_precision(fused.device):
        images, statistics = injection_images(around), around.statistics
        if statistics is None:
            statistics = statistics_from_moments(injection_moments(images))
        gain, spread = (x[..., None, None].to(fused) for x in (statistics.gain, statistics.ms_std))
        injected = (images.up + gain * images.detail)[..., rows, columns]
        added = (fused - injected) / spread
        common = added.mean(1, keepdim=True)
        share = _share(move(around.mtf, fused.device))[..., None, None]
        return injected + torch.lerp(common.expand_as(added), added, share.to(added)) * spread


def _share(mtf: Tensor) -> Tensor:
    steps = ((mtf - SOFT) / (SHARP - SOFT)).clamp(0, 1)
    return LEAST_SHARE + (1 - LEAST_SHARE) * steps
