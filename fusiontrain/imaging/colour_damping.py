"""Less colour of a network's own where the MS is very soft.

What a network adds to the detail injection (injection.py) is of two parts: one that all bands
share, in units of their spread, and one of colour. Of an MS that was delivered very soft
(GaoFen-2, SPOT-6, Pleiades) the second is in part noise of the MS, sharpened. It is kept by a
share that falls with the MTF. And detail that is added takes from each band by its spread, not by
its brightness: what is far darker than the MS around it turns magenta or red. Bands of such
pixels are lowered to the MS's hue; none is raised.
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
LIGHT, DARK = 0.6, 0.2  # shares of the MS's brightness: the MS's hue from none to all between them
LEAST_GROUND = 0.05  # brightness of the MS over the darkest ground, in spreads: at least
REACH = 52  # PAN pixels at ratio 4 that the injection needs around a pixel


def damped(batch: PanBatch) -> bool:
    """Whether any band of the batch is soft enough for damp_colours to change anything."""
    return bool((batch.mtf < SHARP).any())


def damp_colours(fused: Tensor, around: PanBatch, rows: slice, columns: slice) -> Tensor:
    """`fused` with less colour of its own and dark pixels of the MS's hue; a part of `around`.

    `rows`, `columns`: where in `around` the part lies. Without statistics in `around`, those of
    its own images count.
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
        sharp = ((move(around.mtf, fused.device) - SOFT) / (SHARP - SOFT)).clamp(0, 1)
        sharp = sharp[..., None, None].to(added)
        share = LEAST_SHARE + (1 - LEAST_SHARE) * sharp
        fused = injected + torch.lerp(common.expand_as(added), added, share) * spread
        dark = statistics.dark[..., None, None].to(fused)
        return darken_to_hue(fused, images.up[..., rows, columns], dark, spread, 1 - sharp)


def darken_to_hue(fused: Tensor, up: Tensor, dark: Tensor, spread: Tensor, share: Tensor) -> Tensor:
    """`fused` with no band brighter than the hue of `up` allows, where it is far darker than `up`.

    Shapes: (B, C, H, W) DN, and (B, C, 1, 1): the darkest ground and the spread of each band, DN,
    and the share of the change that is made -> the shape of `fused`.
    """
    ground = (up - dark).clamp_min(LEAST_GROUND * spread)
    brightness = ((fused - dark) / spread).mean(1, keepdim=True)
    brightness = brightness / (ground / spread).mean(1, keepdim=True)
    turned = ((LIGHT - brightness) / (LIGHT - DARK)).clamp(0, 1) * share
    return torch.lerp(fused, torch.minimum(fused, dark + brightness * ground), turned)
