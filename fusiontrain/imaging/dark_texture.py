"""PAN's texture on dark ground, which bands have at least in part.

PAN includes near infrared, in which trees are bright; the visible bands hold little of that
texture. A network that is right on average removes it from them, and crowns become dark blobs. On
ground that is dark in a band, the band has at least LEAST_GAIN of the detail injection
(injection.py). Where all bands together then hold more detail than PAN, all are scaled down, so
that the image is no sharper than PAN or than the network made it.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from fusiontrain.imaging.full_precision import full_precision
from fusiontrain.imaging.injection import TINY, ScenePart

LEAST_GAIN = 0.7  # of the injection gain
DARK, BRIGHT = -0.25, 0.25  # MS over its mean, spreads: all of LEAST_GAIN at most here, none beyond
REACH = 12  # PAN pixels at ratio 4 around a pixel in which texture counts


def keep_dark_texture(fused: Tensor, part: ScenePart) -> Tensor:
    """`fused` with at least a share of PAN's detail in bands that are dark here.

    A single band is returned as it is: it has no other band to share texture with.
    Shapes: (B, C, H, W) DN -> the same.
    """
    if fused.shape[1] == 1:
        return fused
    images, statistics = part.images, part.statistics
    with full_precision(fused.device):
        gain, weights, mean, spread = (
            x[..., None, None].to(fused)
            for x in (statistics.gain, statistics.weights, statistics.ms_mean, statistics.ms_std)
        )
        held = _gain_held(fused - images.up, images.detail, images.ratio)
        dark = ((BRIGHT - (images.ms - mean) / spread) / (BRIGHT - DARK)).clamp(0, 1)
        least = LEAST_GAIN * gain.clamp_min(0) * dark
        raised = held + (least - held.abs()).clamp_min(0)
        share = _share_of_pan(held, raised, weights)
        more = F.interpolate(share * raised - held, scale_factor=images.ratio, mode="bilinear")
        return torch.addcmul(fused, more, images.detail)


def _gain_held(added: Tensor, detail: Tensor, ratio: int) -> Tensor:
    """DN a DN of PAN's detail that an image holds, by regression: (B, C, h, w), MS pixels."""
    return _around(added * detail, ratio) / _around(detail * detail, ratio).clamp_min(TINY)


def _around(image: Tensor, ratio: int) -> Tensor:
    """Means over 3 x 3 MS pixels: (B, C, H, W) -> (B, C, h, w)."""
    means = F.avg_pool2d(image, ratio)
    return F.avg_pool2d(F.pad(means, (1, 1, 1, 1), mode="replicate"), 3, stride=1)


def _share_of_pan(held: Tensor, raised: Tensor, weights: Tensor) -> Tensor:
    """What is left of the raised gains, 0..1: (B, 1, h, w).

    The bands' weighted sum is PAN's detail; raised, it is at most 1, or what it was.
    """
    before, after = ((weights * x).sum(1, keepdim=True) for x in (held, raised))
    most = before.clamp_min(1)
    return torch.where(after > most, most / after.clamp_min(1), 1.0)
