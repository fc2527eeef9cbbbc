"""Less colour of a network's own, and none that the MS does not have.

What a network adds to the detail injection (injection.py) is of two parts: one that all bands
share, in units of their spread, and one of colour. Of an MS that was delivered very soft
(GaoFen-2, SPOT-6, Pleiades) the second is in part noise of the MS, sharpened. It is kept by a
share that falls with the MTF. And detail that is added takes from each band by its spread, not by
its brightness: what is far darker than the MS around it turns magenta, red or brown. No band of a
pixel stays weaker, for the pixel's brightness, than in every MS pixel around, or of a sharper MS
comes near to that; the brightness is kept.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from fusiontrain.imaging.full_precision import full_precision
from fusiontrain.imaging.injection import ScenePart
from fusiontrain.imaging.pan_batch import PanBatch, move

SOFT, SHARP = 0.12, 0.22  # MTF gains: LEAST_SHARE up to the first, all from the second on
LEAST_SHARE = 0.5
BOUND = 0.75  # of what a weak band lacks, added where the MS is sharp; all where it is very soft
LEAST_GROUND = 0.05  # brightness of the MS over the darkest ground, in spreads: at least
AROUND = 5  # MS pixels a side whose colours count
REACH = 52  # PAN pixels at ratio 4 that the injection needs around a pixel


def damped(batch: PanBatch) -> bool:
    """Whether any band of the batch is soft enough for damp_colours to change anything."""
    return bool((batch.mtf < SHARP).any())


def damp_colours(fused: Tensor, part: ScenePart, mtf: Tensor) -> Tensor:
    """`fused` with less colour of its own where the MS is very soft.

    `mtf`: gains of the MS's bands, (B, C). Shapes: (B, C, H, W) DN -> the same.
    """
    images, statistics = part.images, part.statistics
    with full_precision(fused.device):
        gain, spread = (x[..., None, None].to(fused) for x in (statistics.gain, statistics.ms_std))
        share = LEAST_SHARE + (1 - LEAST_SHARE) * _sharp(mtf, fused)
        return fade_colours(fused, images.up + gain * images.detail, spread, share)


def bound_colours(
    fused: Tensor, around: ScenePart, mtf: Tensor, rows: slice, columns: slice
) -> Tensor:
    """`fused` within the MS's colours, or nearer to them; a part of `around`.

    `mtf`: gains of the MS's bands, (B, C). `rows`, `columns`: where in `around` the part lies.
    Shapes: (B, C, rows, columns) DN -> the same.
    """
    images, statistics = around.images, around.statistics
    with full_precision(fused.device):
        spread, dark = (x[..., None, None].to(fused) for x in (statistics.ms_std, statistics.dark))
        least = least_shares((images.ms - dark) / spread, images.ratio)[..., rows, columns]
        share = 1 - (1 - BOUND) * _sharp(mtf, fused)
        return raise_weak_bands(fused, least, dark, spread, share)


def _sharp(mtf: Tensor, like: Tensor) -> Tensor:
    """0 of a very soft MS to 1: (B, C) -> (B, C, 1, 1)."""
    sharp = ((move(mtf, like.device) - SOFT) / (SHARP - SOFT)).clamp(0, 1)
    return sharp[..., None, None].to(like)


def fade_colours(fused: Tensor, injected: Tensor, spread: Tensor, share: Tensor) -> Tensor:
    """`fused` with `share` of what it adds to `injected` beyond what all bands have in common.

    Shapes: (B, C, H, W) DN; spread of each band, DN, and share (B, C, 1, 1) -> (B, C, H, W) DN.
    """
    added = (fused - injected) / spread
    common = added.mean(1, keepdim=True)
    return injected + torch.lerp(common.expand_as(added), added, share) * spread


def least_shares(ms: Tensor, ratio: int) -> Tensor:
    """The least that each band has of the brightness in the MS pixels around.

    Shapes: (B, C, h, w) over the darkest ground, in spreads -> (B, C, h * ratio, w * ratio); 1:
            as much as the mean of the bands.
    """
    ms = ms.clamp_min(LEAST_GROUND)
    shares = ms / ms.mean(1, keepdim=True)
    least = -F.max_pool2d(-shares, AROUND, stride=1, padding=AROUND // 2)
    return F.interpolate(least, scale_factor=ratio, mode="bilinear")


def raise_weak_bands(
    fused: Tensor, least: Tensor, dark: Tensor, spread: Tensor, share: Tensor
) -> Tensor:
    """`fused` with bands raised to their least share of the brightness; the others pay for it.

    Shapes: fused (B, C, H, W) DN, `least` of least_shares, alike; (B, C, 1, 1): the darkest ground
            and the spread of each band, DN, and the share of the change that is made -> as fused.
    """
    light = (fused - dark) / spread
    lacking = (least * light.mean(1, keepdim=True).clamp_min(0) - light).clamp_min(0) * share
    return fused + (lacking - lacking.mean(1, keepdim=True)) * spread
