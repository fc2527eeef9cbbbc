"""What every any-band network shares: what it sees of a batch, and the injection it corrects.

Bands are a set with shared weights: (B, C) bands are B * C samples, each with its own images
and conditions. Everything is in the scene's own statistics. A network turns features on a
grid SHUFFLE times coarser than the PAN's into a correction of the blur-matched MTF-GLP-FS
injection, in spreads of each band; as built its last layer is zero, and so is the correction.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fusiontrain.batch import PanBatch, Statistics
from fusiontrain.injection import Injection, inject, local_gains, moments, statistics

SHUFFLE = 4  # PAN pixels per feature pixel, a side
WINDOWS = (1.0, 2.5)  # sigma, MS pixels, of the local gains
WAYS = len(WINDOWS) + 3  # to inject otherwise than by the scene's gain
IMAGES = 4 + WAYS  # that the stem sees of a band
LEAST = 0.1  # spreads: denominators of ratios
CONDITIONS = 4  # of a band
CONDITION_WIDTH = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """A batch in its own statistics, on the PAN's grid. Axes as in batch.py."""

    batch: PanBatch
    images: Injection
    stats: Statistics
    seen: Tensor  # (B * C, IMAGES, H', W'), continued to multiples of SHUFFLE
    steered: list[Tensor]  # WAYS of (B, C, H, W): what each adds to the injection, in spreads
    conditions: Tensor  # (B, C, CONDITIONS)

    @property
    def bands(self) -> int:
        return self.batch.ms.shape[1]

    @property
    def pan(self) -> Tensor:
        """(B, SHUFFLE^2, H' / SHUFFLE, W' / SHUFFLE): the PAN alone, for streams of its own."""
        mean, spread = (s[:, :1, None, None] for s in (self.stats.pan_mean, self.stats.pan_std))
        pan = continued((self.batch.pan - mean) / spread)
        return F.pixel_unshuffle(pan, SHUFFLE)


class Frame(nn.Module):
    """forward(PanBatch) -> (B, C, H, W) DN, of any bands, size and ratio.

    A member makes its layers between `super().__init__` and `self.head = last_layer(width)`,
    and says in `body` what they do.
    """

    head: nn.Module

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(IMAGES * SHUFFLE**2, width, 1)
        self.trust = nn.Linear(CONDITION_WIDTH, WAYS)
        nn.init.zeros_(self.trust.weight)
        nn.init.zeros_(self.trust.bias)
        self.condition = nn.Sequential(nn.Linear(CONDITIONS, CONDITION_WIDTH), nn.GELU())

    def forward(self, batch: PanBatch) -> Tensor:
        look = look_at(batch)
        B, C, H, W = look.images.up.shape
        x = F.pixel_unshuffle(self.sees(look), SHUFFLE)
        conditions = self.condition(look.conditions.to(x.dtype)).reshape(B * C, -1)
        trust = self.trust(conditions).reshape(B, C, -1, 1, 1)
        x = self.correct(self.stem(x), conditions, look)
        correction = F.pixel_shuffle(x, SHUFFLE)[..., :H, :W]
        correction = correction.reshape(B, C, H, W).to(look.images.up.dtype)
        correction = correction + sum(trust[:, :, i] * s for i, s in enumerate(look.steered))
        stats = look.stats
        injected = look.images.up + stats.gain[..., None, None] * look.images.detail
        return injected + stats.ms_std[..., None, None] * correction

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """torch.compile, of the layers alone: blurs have as many taps as their values ask for."""
        # torch 2.13 expects the gradient of a replicated border in a layout that it has not.
        options = {"layout_optimization": False} | kwargs.pop("options", {})
        self.correct = torch.compile(  # type: ignore[method-assign]
            self.correct, *args, options=options, **kwargs
        )

    def sees(self, look: Look) -> Tensor:
        """The images that the stem is given, (B * C, IMAGES, H', W')."""
        return look.seen

    def correct(self, x: Tensor, conditions: Tensor, look: Look) -> Tensor:
        """(B * C, width, H' / SHUFFLE, W' / SHUFFLE) -> the same with SHUFFLE^2 channels."""
        corrected: Tensor = self.head(F.gelu(self.body(x, conditions, look)))
        return corrected

    def body(self, x: Tensor, conditions: Tensor, look: Look) -> Tensor:
        """(B * C, width, H' / SHUFFLE, W' / SHUFFLE) features -> the same."""
        raise NotImplementedError


class Film(nn.Module):
    """What a band's conditions make of its features: a scale and a shift each."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.film = nn.Linear(CONDITION_WIDTH, 2 * width)

    def forward(self, x: Tensor, conditions: Tensor) -> Tensor:
        scale, shift = self.film(conditions)[..., None, None].chunk(2, dim=1)
        return x * (1 + scale) + shift


def near(inputs: int, outputs: int, *, groups: int = 1, apart: int = 1) -> nn.Conv2d:
    """3 x 3, `apart` pixels apart; the border's pixels repeated, so that flat stays flat."""
    return nn.Conv2d(
        inputs,
        outputs,
        3,
        padding=apart,
        dilation=apart,
        groups=groups,
        padding_mode="replicate",
    )


def over_bands(x: Tensor, bands: int) -> Tensor:
    """(B * C, ...) -> (B, ...): the mean of each sample's bands."""
    return x.reshape(-1, bands, *x.shape[1:]).mean(1)


def to_bands(x: Tensor, bands: int) -> Tensor:
    """(B, ...) -> (B * C, ...): the same for every band."""
    return x.repeat_interleave(bands, 0)


def last_layer(width: int) -> nn.Conv2d:
    """Zero as built: a network starts as the injection."""
    head = nn.Conv2d(width, SHUFFLE**2, 3, padding=1, padding_mode="replicate")
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)  # type: ignore[arg-type]
    return head


def look_at(batch: PanBatch) -> Look:
    """The images and conditions that networks are given."""
    # Physics in full precision: bf16 would round DN and cancel variances.
    with torch.autocast(batch.pan.device.type, enabled=False):
        images = inject(batch)
        stats = batch.statistics or statistics(moments(images))
        steered = [way.clamp(-4, 4) for way in other_ways(batch, images, stats)]
    B, C, H, W = images.up.shape
    ms_mean, ms_std, pan_mean, pan_std = (
        s[..., None, None] for s in (stats.ms_mean, stats.ms_std, stats.pan_mean, stats.pan_std)
    )
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
    seen = continued(seen.reshape(B * C, IMAGES, H, W))
    # What PAN explains of the band, as a correlation: the injection gain without units.
    explained = (stats.gain * stats.pan_std / stats.ms_std).clamp(-2, 2)
    conditions = torch.stack((batch.mtf, batch.softness, explained, explained.abs()), -1)
    return Look(
        batch=batch, images=images, stats=stats, seen=seen, steered=steered, conditions=conditions
    )


def other_ways(batch: PanBatch, images: Injection, stats: Statistics) -> Iterator[Tensor]:
    """What other injections than the scene's own would add to it, in spreads of each band.

    The gain of each pixel's surroundings, under two windows; the detail scaled by the band's
    brightness over PAN's (HPM-R with haze) and over the intensity's (BT-H); and what the bands
    together do not explain of PAN at the MS's resolution, which GSA injects.
    Sources: Vivone et al. 2018, IEEE TGRS 56(2):1146-1158 (HPM-R); Lolli et al. 2017, IEEE
    GRSL 14(12):2255-2259 (BT-H); Aiazzi et al. 2007, IEEE TGRS 45(10):3230-3239 (GSA).
    """
    ms_mean, ms_std, pan_mean, pan_std, gain, weights, dark = (
        getattr(stats, name)[..., None, None]
        for name in ("ms_mean", "ms_std", "pan_mean", "pan_std", "gain", "weights", "dark")
    )
    detail = images.detail / ms_std
    for sigma in WINDOWS:
        yield (local_gains(batch, images, stats, sigma) - gain) * detail
    above = images.up - dark
    expected = gain * (images.pan_low - pan_mean) + ms_mean - dark  # of the band, by PAN alone
    yield ((above / expected.clamp_min(LEAST * ms_std)).clamp(0, 4) - 1) * gain * detail
    bands = (weights * (images.up - ms_mean)).sum(1, keepdim=True)
    darkest = (weights * (dark - ms_mean)).sum(1, keepdim=True)
    most = 4 * ms_std / pan_std
    scaled = above.clamp_min(0) / (bands - darkest).clamp_min(LEAST * pan_std)
    yield (torch.minimum(scaled, most) - gain) * detail
    seen = images.pan_low - pan_mean
    yield gain * (seen - bands) / ms_std


def continued(image: Tensor) -> Tensor:
    """Sizes that are no multiple of SHUFFLE are continued to one; the frame cuts them again."""
    H, W = image.shape[-2:]
    down, right = -H % SHUFFLE, -W % SHUFFLE
    if not down and not right:  # padding by nothing would copy all
        return image
    return F.pad(image, (0, right, 0, down), mode="replicate")
