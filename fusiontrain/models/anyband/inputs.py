"""AnyBandInputs: the normalized images and conditions that any-band networks compute from a batch.

MS is normalized by each band's mean and standard deviation, PAN by its own: "units of std" below.
Images are in polyphase form (layers/polyphase.py). Interpolation and blur preserve constants, so
that images are normalized before interpolation, where they have few pixels.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property

import torch
from torch import Tensor

from fusiontrain.imaging.filters import blur, blur_to_ms, gain_to_sigma, one_if_alike
from fusiontrain.imaging.full_precision import full_precision
from fusiontrain.imaging.injection import moments_about, statistics_from_moments
from fusiontrain.imaging.pan_batch import PanBatch, Statistics
from fusiontrain.models.layers.polyphase import (
    blur_polyphase,
    from_polyphase,
    polyphase_mask,
    to_polyphase,
    upsample_polyphase,
)

LOCAL_SIGMAS = (1.0, 2.5)  # MS pixels, Gaussian windows of the local gains
ALTERNATIVES = len(LOCAL_SIGMAS) + 3  # alternative injection models
FIRST_ALTERNATIVE = 4  # index of their first image
IMAGES = FIRST_ALTERNATIVE + ALTERNATIVES  # inputs of the stem per band
MIN_DENOMINATOR = 0.1  # units of std
MAX_CHANGE = 4.0  # units of std that an alternative adds; also the largest ratio
CONDITIONS = 4  # per band
_PRIOR = 0.02  # of PAN's variance: weight of the scene's gain in local gains


@dataclass(frozen=True, kw_only=True, slots=True)
class Images:
    """Normalized images, units of std, and scalars per band (B, C or 1)."""

    ms: Tensor  # (B, C, h, w)
    low_ms: Tensor  # (B, C or 1, h, w): soft PAN through the band's MTF, decimated
    up: Tensor  # (B, C, P, h', w'): interpolated MS
    low: Tensor  # (B, C or 1, P, h', w'): interpolated low_ms
    soft: Tensor  # (B, C or 1, P, h', w'): PAN blurred to the output's softness
    pan: Tensor  # (B, 1, P, h', w')
    intensity: Tensor  # (B, 1, P, h', w'): regression of PAN on the bands
    gain: Tensor  # (B, C): injection gain, std of the band per std of PAN
    dark: Tensor  # (B, C): darkest ground
    haze: Tensor  # (B, 1): intensity of the darkest ground

    def select(self, bands: slice) -> "Images":
        """The images of some bands, and those that all bands share."""
        selected = {
            f.name: image[:, bands] if image.shape[1] > 1 else image
            for f in fields(self)
            for image in [getattr(self, f.name)]
        }
        return Images(**selected)


@dataclass(frozen=True, kw_only=True)
class AnyBandInputs:
    """A normalized batch. Axes as in pan_batch.py; P, h' and w' as in polyphase.py."""

    batch: PanBatch
    stats: Statistics
    images: Images
    conditions: Tensor  # (B, C, CONDITIONS)

    @property
    def bands(self) -> int:
        return self.conditions.shape[1]

    @property
    def pan(self) -> Tensor:
        """(B, P, h', w'): normalized PAN, for networks with a PAN stream."""
        return self.images.pan[:, 0]

    @cached_property
    def stem_images(self) -> Tensor:
        """(B, C, IMAGES, P, h', w'): the stem's inputs for each band, see `make_stem_images`."""
        images = self.images
        with full_precision(images.up.device):
            gains = (
                local_gains(images.ms, images.low_ms, images.gain, sigma) for sigma in LOCAL_SIGMAS
            )
            ratio, phase = self.batch.ratio, self.batch.phase
            local = (upsample_polyphase(image, ratio, phase) for image in gains)
            return torch.stack([*make_stem_images(images, local)], 2)

    @property
    def injected(self) -> Tensor:
        """(B, C, P, h', w'): MTF-GLP-FS injection, the starting point of networks, units of std."""
        images = self.images
        return torch.addcmul(images.up, _wide(images.gain, 3), images.soft - images.low)

    @property
    def alternatives(self) -> Tensor:
        """(B, C, ALTERNATIVES, P, h', w'): what alternative injection models add to `injected`."""
        return self.stem_images[:, :, FIRST_ALTERNATIVE:]

    def select(self, bands: slice) -> "AnyBandInputs":
        """The inputs of some bands; `batch` and `stats` stay whole."""
        return replace(self, images=self.images.select(bands), conditions=self.conditions[:, bands])

    def image(self, planes: Tensor) -> Tensor:
        """Polyphase to image: (B, C, P, h', w') -> (B, C, H, W)."""
        return from_polyphase(planes, *self.batch.pan.shape[-2:])


def make_inputs(batch: PanBatch) -> AnyBandInputs:
    """Normalized images and conditions of a batch."""
    # Full precision: bfloat16 would round DN, and variances would cancel.
    with full_precision(batch.pan.device):
        filtered, stats = _normalized(batch)
        factors = band_factors(stats)
        images = Images(
            **filtered,
            intensity=intensity_of(filtered["up"], factors.weights),
            gain=factors.gain,
            dark=factors.dark,
            haze=factors.haze,
        )
    conditions = band_conditions(batch, factors.gain)
    return AnyBandInputs(batch=batch, stats=stats, images=images, conditions=conditions)


@dataclass(frozen=True, kw_only=True, slots=True)
class Factors:
    """The scene's factors for normalized images, units of std: (B, C), haze (B, 1)."""

    gain: Tensor
    dark: Tensor
    weights: Tensor  # of the bands in the intensity
    haze: Tensor


def band_factors(stats: Statistics) -> Factors:
    dark = (stats.dark - stats.ms_mean) / stats.ms_std
    weights = stats.weights * stats.ms_std / stats.pan_std
    return Factors(
        gain=stats.gain * stats.pan_std / stats.ms_std,
        dark=dark,
        weights=weights,
        haze=(weights * dark).sum(1, keepdim=True),
    )


def band_conditions(batch: PanBatch, gain: Tensor) -> Tensor:
    """(B, C, CONDITIONS): what FiLM is given of each band; `gain` as in Factors."""
    bounded = gain.clamp(-2, 2)
    return torch.stack((*batch.gains(bounded.device), bounded, bounded.abs()), -1)


def intensity_of(up: Tensor, weights: Tensor) -> Tensor:
    """(B, 1, ...): regression of PAN on interpolated bands (B, C, ...)."""
    return (weights[:, None] @ up.flatten(2)).reshape_as(up[:, :1])


def _normalized(batch: PanBatch) -> tuple[dict[str, Tensor], Statistics]:
    """Normalized images by their names in Images, and the statistics used."""
    if batch.statistics is not None:
        stats = cast_statistics(batch.ms, batch.statistics)
        of_pan = stats.pan_mean[:, :1], stats.pan_std[:, :1]  # equal for all bands
        return _filtered(batch, (stats.ms_mean, stats.ms_std), of_pan), stats
    about = batch.ms.mean((-2, -1)), batch.pan.mean((-2, -1))
    images = _filtered(batch, *((mean, torch.ones_like(mean)) for mean in about))
    moments = moments_about(
        *(images[name] for name in ("up", "soft", "low", "pan")),
        about=about,
        valid=polyphase_mask(batch.pan),
        ms=batch.ms,
        pan_ms=images["low_ms"] + _wide(about[1], 2),
        valid_ms=None,
    )
    stats = cast_statistics(batch.ms, statistics_from_moments(moments))
    of_ms = about[0] - stats.ms_mean, stats.ms_std
    of_pan = about[1] - stats.pan_mean[:, :1], stats.pan_std[:, :1]
    for name, image in images.items():
        shift, std = of_ms if name in ("ms", "up") else of_pan
        shift, scale = (_wide(x, image.dim() - 2) for x in (shift / std, 1 / std))
        images[name] = torch.addcmul(shift, image, scale)
    return images, stats


def cast_statistics(image: Tensor, stats: Statistics) -> Statistics:
    """The statistics in an image's dtype and on its device."""
    return Statistics(**{f.name: getattr(stats, f.name).to(image) for f in fields(stats)})


def _filtered(
    batch: PanBatch, of_ms: tuple[Tensor, Tensor], of_pan: tuple[Tensor, Tensor]
) -> dict[str, Tensor]:
    """Blurred and interpolated images by their names in Images, normalized by (mean, std)."""
    images = blurred_images(batch, of_ms, of_pan)
    up, low = (
        upsample_polyphase(images[name], batch.ratio, batch.phase) for name in ("ms", "low_ms")
    )
    return images | {"up": up, "low": low}


def blurred_images(
    batch: PanBatch, of_ms: tuple[Tensor, Tensor], of_pan: tuple[Tensor, Tensor]
) -> dict[str, Tensor]:
    """Those of Images that need no interpolation, by their names, normalized by (mean, std)."""
    ms, pan = (
        (image - _wide(mean, 2)) / _wide(std, 2)
        for image, (mean, std) in ((batch.ms, of_ms), (batch.pan, of_pan))
    )
    sigma_soft = gain_to_sigma(batch.softness, 1)
    sigma_low = torch.sqrt(sigma_soft**2 + gain_to_sigma(batch.mtf, batch.ratio) ** 2)
    return {
        "ms": ms,
        "low_ms": blur_to_ms(pan, one_if_alike(sigma_low), batch.ratio, batch.phase),
        "soft": blur_polyphase(pan, sigma_soft),
        "pan": to_polyphase(pan),
    }


def make_stem_images(images: Images, local: Iterable[Tensor]) -> Iterator[Tensor]:
    """The stem's inputs, (B, C, P, h', w') each; `local`: interpolated local gains.

    Interpolated MS; PAN detail that the MS lacks (soft - low); PAN detail finer than the output
    (pan - soft); low PAN. Then what alternative injection models add to the MTF-GLP-FS injection:
    1-2. Local gains in two Gaussian windows: regression of the MS on the low PAN, regularized
    towards the scene's gain. 3. Detail scaled by the ratio of band and PAN (HPM-R with haze).
    4. Detail scaled by the ratio of band and intensity (BT-H). 5. The residual of the regression
    of the low PAN on the bands, which GSA injects.
    Sources: Vivone et al. 2018, IEEE TGRS 56(2):1146-1158 (HPM-R); Lolli et al. 2017, IEEE
    GRSL 14(12):2255-2259 (BT-H); Aiazzi et al. 2007, IEEE TGRS 45(10):3230-3239 (GSA).
    """
    up, low = images.up, images.low
    detail, finest = images.soft - low, images.pan - images.soft
    yield up
    yield from (image.expand_as(up) for image in (detail, finest, low))
    gain, dark, haze = (_wide(x, 3) for x in (images.gain, images.dark, images.haze))
    for gains in local:
        yield (gains * detail).clamp_(-MAX_CHANGE, MAX_CHANGE)
    above = up - dark
    predicted = torch.addcmul(-dark, gain, low).clamp_(min=MIN_DENOMINATOR)  # from PAN
    ratio = (above / predicted).clamp_(0, MAX_CHANGE).sub_(1)
    yield ratio.mul_(gain).mul_(detail).clamp_(-MAX_CHANGE, MAX_CHANGE)
    ratio = above.clamp(min=0) / (images.intensity - haze).clamp_(min=MIN_DENOMINATOR)
    yield ratio.clamp_(max=MAX_CHANGE).sub_(gain).mul_(detail).clamp_(-MAX_CHANGE, MAX_CHANGE)
    yield ((low - images.intensity) * gain).clamp_(-MAX_CHANGE, MAX_CHANGE)


def local_gains(ms: Tensor, low: Tensor, gain: Tensor, sigma: float) -> Tensor:
    """(B, C, h, w): local minus global injection gain, std of the band per std of PAN.

    Regression of `ms` on `low` (B, C or 1, h, w) in a Gaussian window of `sigma` MS pixels.
    """
    sizes = [image.shape[1] for image in (ms, low, ms, low)]
    products = torch.cat([ms, low, ms * low, low * low], 1)
    sigmas = torch.full(products.shape[:2], sigma, dtype=ms.dtype)
    ms, low, product, square = torch.split(blur(products, sigmas), sizes, 1)
    gain = _wide(gain, 2)
    covariance, variance = product - ms * low, (square - low * low).clamp_min(0)
    return (covariance + _PRIOR * gain) / (variance + _PRIOR) - gain


def _wide(numbers: Tensor, axes: int) -> Tensor:
    """(B, C) -> (B, C, 1, ...)."""
    return numbers.reshape(*numbers.shape, *(1,) * axes)
