"""What any-band networks see of a batch: images and conditions in the scene's own statistics.

All is made once and on planes (polyphase.py). Interpolation and blur pass constants, so that images
are brought to their means and spreads before them, where pixels are few.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property

import torch
from torch import Tensor

from fusiontrain.imaging.filters import blur, gain_to_sigma, to_ms
from fusiontrain.imaging.injection import moments_about, statistics_from_moments
from fusiontrain.imaging.pan_batch import PanBatch, Statistics
from fusiontrain.models.layers.polyphase import (
    from_polyphase,
    polyphase_mask,
    softened,
    to_polyphase,
    upsampled,
)

WINDOWS = (1.0, 2.5)  # sigma, MS pixels, of the local gains
ALTERNATIVES = len(WINDOWS) + 3  # detail-injection models besides the global gain
FIRST_ALTERNATIVE = 4
IMAGES = FIRST_ALTERNATIVE + ALTERNATIVES  # that the stem sees of a band
LEAST = 0.1  # spreads: denominators of ratios
MOST = 4.0  # spreads that a way adds, and ratios
CONDITIONS = 4  # of a band
_PRIOR = 0.02  # of PAN's variance: how strongly flat ground holds to the scene's gain


@dataclass(frozen=True, kw_only=True, slots=True)
class Images:
    """What is made of a batch. MS in spreads of each band, PAN in its own; numbers (B, C or 1)."""

    ms: Tensor  # (B, C, h, w)
    low_ms: Tensor  # (B, C, h, w): PAN at the wanted softness, through the band's MTF, decimated
    up: Tensor  # (B, C, P, h', w'): MS, interpolated
    low: Tensor  # (B, C, P, h', w'): low_ms, interpolated
    soft: Tensor  # (B, C or 1, P, h', w'): PAN at the wanted softness
    pan: Tensor  # (B, 1, P, h', w')
    intensity: Tensor  # (B, 1, P, h', w'): what the bands together explain of PAN
    explained: Tensor  # spreads of the band per spread of PAN that the scene's gain injects
    dark: Tensor  # the darkest ground
    haze: Tensor  # its intensity

    def of(self, bands: slice) -> "Images":
        """These bands alone; what is the same for all stays."""
        cut = {
            f.name: image[:, bands] if image.shape[1] > 1 else image
            for f in fields(self)
            for image in [getattr(self, f.name)]
        }
        return Images(**cut)


@dataclass(frozen=True, kw_only=True)
class AnyBandInputs:
    """A batch in its own statistics. Axes as in pan_batch.py; P, h' and w' as in polyphase.py."""

    batch: PanBatch
    stats: Statistics
    images: Images
    conditions: Tensor  # (B, C, CONDITIONS)

    @property
    def bands(self) -> int:
        return self.conditions.shape[1]

    @property
    def pan(self) -> Tensor:
        """(B, P, h', w'): the PAN alone, for streams of its own."""
        return self.images.pan[:, 0]

    @cached_property
    def stem_images(self) -> Tensor:
        """(B, C, IMAGES, P, h', w'): all that the stem sees.

        Of a band the interpolated MS; the PAN detail that its MTF leaves out, at the wanted
        softness; the PAN's finest detail; the PAN as the MS sees it; and what each alternative adds
        to the injection.
        """
        images = self.images
        with torch.autocast(images.up.device.type, enabled=False):
            detail, finest = images.soft - images.low, images.pan - images.soft
            ways = _alternatives(images, detail, self.batch)
            up = images.up
            return torch.stack([up, detail, finest.expand_as(up), images.low, *ways], 2)

    @property
    def injected(self) -> Tensor:
        """(B, C, P, h', w'): where networks start, the scene's own injection, in spreads."""
        images = self.images
        return torch.addcmul(images.up, _wide(images.explained, 3), images.soft - images.low)

    @property
    def alternatives(self) -> Tensor:
        """(B, C, ALTERNATIVES, P, h', w')"""
        return self.stem_images[:, :, FIRST_ALTERNATIVE:]

    def of(self, bands: slice) -> "AnyBandInputs":
        """What is seen of these bands alone; the batch stays whole."""
        return replace(self, images=self.images.of(bands), conditions=self.conditions[:, bands])

    def image(self, planes: Tensor) -> Tensor:
        """(B, C, P, h', w') -> (B, C, H, W)."""
        return from_polyphase(planes, *self.batch.pan.shape[-2:])


def make_inputs(batch: PanBatch) -> AnyBandInputs:
    """The images and conditions that networks are given."""
    # Physics in full precision: bf16 would round DN and cancel variances.
    with torch.autocast(batch.pan.device.type, enabled=False):
        filtered, stats = _in_spreads(batch)
        up = filtered["up"]
        explained = stats.gain * stats.pan_std / stats.ms_std
        dark = (stats.dark - stats.ms_mean) / stats.ms_std
        weights = stats.weights * stats.ms_std / stats.pan_std
        intensity = (weights[:, None] @ up.flatten(2)).reshape_as(up[:, :1])
        images = Images(
            **filtered,
            intensity=intensity,
            explained=explained,
            dark=dark,
            haze=(weights * dark).sum(1, keepdim=True),
        )
    # What PAN explains of the band, as a correlation: the injection gain without units.
    told = explained.clamp(-2, 2)
    conditions = torch.stack((batch.mtf, batch.softness, told, told.abs()), -1)
    return AnyBandInputs(batch=batch, stats=stats, images=images, conditions=conditions)


def _in_spreads(batch: PanBatch) -> tuple[dict[str, Tensor], Statistics]:
    """The images of injection.injection_images and the statistics, the batch's own unless given."""
    if batch.statistics is not None:
        given = _like(batch.ms, batch.statistics)
        pan = given.pan_mean[:, :1], given.pan_std[:, :1]  # the same for all bands
        return _filtered(batch, (given.ms_mean, given.ms_std), pan), given
    about = batch.ms.mean((-2, -1)), batch.pan.mean((-2, -1))
    images = _filtered(batch, *((mean, torch.ones_like(mean)) for mean in about))
    moments = moments_about(
        *(images[name] for name in ("up", "soft", "low", "pan")),
        about=about,
        valid=polyphase_mask(batch.pan),
        ms=batch.ms,
        seen=images["low_ms"] + _wide(about[1], 2),
        kept=None,
    )
    stats = _like(batch.ms, statistics_from_moments(moments))
    of_ms = about[0] - stats.ms_mean, stats.ms_std
    of_pan = about[1] - stats.pan_mean[:, :1], stats.pan_std[:, :1]
    for name, image in images.items():
        shift, spread = of_ms if name in ("ms", "up") else of_pan
        shift, scale = (_wide(x, image.dim() - 2) for x in (shift / spread, 1 / spread))
        images[name] = torch.addcmul(shift, image, scale)
    return images, stats


def _like(image: Tensor, stats: Statistics) -> Statistics:
    return Statistics(**{f.name: getattr(stats, f.name).to(image) for f in fields(stats)})


def _filtered(
    batch: PanBatch, of_ms: tuple[Tensor, Tensor], of_pan: tuple[Tensor, Tensor]
) -> dict[str, Tensor]:
    """By their names in Images, all less a mean, over a spread."""
    ratio, phase = batch.ratio, batch.phase
    ms, pan = (
        (image - _wide(mean, 2)) / _wide(std, 2)
        for image, (mean, std) in ((batch.ms, of_ms), (batch.pan, of_pan))
    )
    sigma_soft = gain_to_sigma(batch.softness, 1)
    sigma_low = torch.sqrt(sigma_soft**2 + gain_to_sigma(batch.mtf, ratio) ** 2)
    low_ms = to_ms(pan, sigma_low, ratio, phase)
    return {
        "ms": ms,
        "low_ms": low_ms,
        "up": upsampled(ms, ratio, phase),
        "low": upsampled(low_ms, ratio, phase),
        "soft": softened(pan, sigma_soft),
        "pan": to_polyphase(pan),
    }


def _alternatives(images: Images, detail: Tensor, batch: PanBatch) -> Iterator[Tensor]:
    """What other injections than the scene's own would add to it, in spreads of each band.

    The gain of each pixel's surroundings, under two windows: regression of the MS on the PAN seen
    at MS resolution, drawn towards the scene's gain where the PAN is flat. The detail scaled by
    the band's brightness over PAN's (HPM-R with haze) and over the intensity's (BT-H). And what
    the bands together do not explain of PAN at the MS's resolution, which GSA injects.
    Sources: Vivone et al. 2018, IEEE TGRS 56(2):1146-1158 (HPM-R); Lolli et al. 2017, IEEE
    GRSL 14(12):2255-2259 (BT-H); Aiazzi et al. 2007, IEEE TGRS 45(10):3230-3239 (GSA).
    """
    gain, dark, haze = (_wide(x, 3) for x in (images.explained, images.dark, images.haze))
    for sigma in WINDOWS:
        local = upsampled(_local_gains(images, sigma), batch.ratio, batch.phase)
        yield (local * detail).clamp_(-MOST, MOST)
    above = images.up - dark
    expected = torch.addcmul(-dark, gain, images.low).clamp_(min=LEAST)  # by PAN alone
    ratio = (above / expected).clamp_(0, MOST).sub_(1)
    yield ratio.mul_(gain).mul_(detail).clamp_(-MOST, MOST)
    ratio = above.clamp(min=0) / (images.intensity - haze).clamp_(min=LEAST)
    yield ratio.clamp_(max=MOST).sub_(gain).mul_(detail).clamp_(-MOST, MOST)
    yield (images.low - images.intensity).mul_(gain).clamp_(-MOST, MOST)


def _local_gains(images: Images, sigma: float) -> Tensor:
    """(B, C, h, w): over the scene's own, in spreads of the band per spread of PAN.

    Under a Gaussian of `sigma` MS pixels.
    """
    ms, low = images.ms, images.low_ms
    pictures = torch.cat([ms, low, ms * low, low * low], 1)
    widths = torch.full(pictures.shape[:2], sigma, dtype=ms.dtype, device=ms.device)
    ms, low, product, square = blur(pictures, widths).chunk(4, 1)
    gain = _wide(images.explained, 2)
    together, alone = product - ms * low, (square - low * low).clamp_min(0)
    return (together + _PRIOR * gain) / (alone + _PRIOR) - gain


def _wide(numbers: Tensor, axes: int) -> Tensor:
    """(B, C) -> (B, C, 1, ...)."""
    return numbers.reshape(*numbers.shape, *(1,) * axes)
