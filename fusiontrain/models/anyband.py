"""AnyBand: one set of weights for any number and order of bands, and any ratio.

Bands are a set. Each is predicted by shared weights from its own interpolated MS and the
PAN detail made at its own MTF; features averaged over the bands are mixed in at every
block, so permuting the bands permutes the output. It corrects the blur-matched MTF-GLP-FS
injection and starts as exactly that: the last layer begins at zero. All convolutions run on
a grid four times coarser than the PAN's (pixel-unshuffle in, pixel-shuffle out), in the
scene's own statistics. Two gains a band tell it the MS's MTF and the wanted softness.

This network is panprior's own; no paper describes it.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fusiontrain.batch import PanBatch
from fusiontrain.injection import inject, local_gains, moments, statistics

SHUFFLE = 4  # PAN pixels per feature pixel, a side
_IMAGES = 6  # that the stem sees
WINDOWS = (1.0, 2.5)  # sigma, MS pixels, of the local gains
_CONDITIONS = 4


class AnyBand(nn.Module):
    """forward(PanBatch) -> (B, C, H, W) DN, of any size and ratio."""

    def __init__(self, *, width: int = 32, blocks: int = 4) -> None:
        super().__init__()
        self.stem = nn.Conv2d(_IMAGES * SHUFFLE**2, width, 1)
        self.trust = nn.Linear(32, len(WINDOWS))
        nn.init.zeros_(self.trust.weight)
        nn.init.zeros_(self.trust.bias)
        self.condition = nn.Sequential(nn.Linear(_CONDITIONS, 32), nn.GELU())
        self.blocks = nn.ModuleList(Block(width) for _ in range(blocks))
        self.head = nn.Conv2d(width, SHUFFLE**2, 3, padding=1, padding_mode="replicate")
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(self, batch: PanBatch) -> Tensor:
        # Physics in full precision: bf16 would round DN and cancel variances.
        with torch.autocast(batch.pan.device.type, enabled=False):
            images = inject(batch)
            stats = batch.statistics or statistics(moments(images))
            local_gain = [local_gains(batch, images, stats, sigma) for sigma in WINDOWS]
        B, C, H, W = images.up.shape
        per_band = [s[..., None, None] for s in (stats.ms_mean, stats.ms_std, stats.pan_mean)]
        ms_mean, ms_std, pan_mean = per_band
        pan_std, gain = stats.pan_std[..., None, None], stats.gain[..., None, None]
        local = [g - gain for g in local_gain]
        steered = [(g * images.detail / ms_std).clamp(-4, 4) for g in local]
        seen = torch.stack(
            [
                (images.up - ms_mean) / ms_std,
                images.detail / pan_std,
                (batch.pan - images.pan_soft) / pan_std,
                (images.pan_low - pan_mean) / pan_std,
                *steered,
            ],
            dim=2,
        )
        # Sizes that are no multiple are continued to one, and cut again at the end.
        seen = seen.reshape(B * C, _IMAGES, H, W)
        seen = F.pad(seen, (0, -W % SHUFFLE, 0, -H % SHUFFLE), mode="replicate")
        x = F.pixel_unshuffle(seen, SHUFFLE)
        # What PAN explains of the band, as a correlation: the injection gain without units.
        explained = (stats.gain * stats.pan_std / stats.ms_std).clamp(-2, 2)
        scene = (batch.mtf, batch.softness, explained, explained.abs())
        conditions = self.condition(torch.stack(scene, -1).to(x.dtype)).reshape(B * C, -1)
        trust = self.trust(conditions).reshape(B, C, -1, 1, 1)
        x = self.stem(x)
        for block in self.blocks:
            x = block(x, conditions, C)
        correction = F.pixel_shuffle(self.head(F.gelu(x)), SHUFFLE)[..., :H, :W]
        correction = correction.reshape(B, C, H, W).to(images.up.dtype)
        correction = correction + sum(trust[:, :, i] * s for i, s in enumerate(steered))
        injected = images.up + gain * images.detail
        return injected + ms_std * correction


class Block(nn.Module):
    """Two convolutions a band, scaled by its conditions, and one look at all bands' mean."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1, padding_mode="replicate")
        self.second = nn.Conv2d(width, width, 3, padding=1, padding_mode="replicate")
        self.shared = nn.Conv2d(width, width, 1)
        self.film = nn.Linear(32, 2 * width)

    def forward(self, x: Tensor, conditions: Tensor, C: int) -> Tensor:
        scale, shift = self.film(conditions)[..., None, None].chunk(2, dim=1)
        y = F.gelu(self.first(x))
        mean = y.reshape(-1, C, *y.shape[1:]).mean(1)
        y = y + self.shared(mean).repeat_interleave(C, 0)
        return x + self.second(y * (1 + scale) + shift)
