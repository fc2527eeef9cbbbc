"""Detail injection: blur-matched MTF-GLP-FS, the starting point of every any-band network.

fused = upsampled MS + gain * (soft PAN - low PAN). The soft PAN has the output's softness; the
low PAN is the soft PAN through each band's MTF. `injection_gain` computes the gain, from moments
that are summed window by window. Axes as in pan_batch.py.

Source: MTF-GLP-FS, Vivone, Restaino and Chanussot 2018, IEEE TIP 27(7):3418-3431, here with
decimation in the scene's grid phase and Lanczos interpolation, on a PAN of matched softness.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from fusiontrain.imaging.filters import blur, blur_to_ms, gain_to_sigma, one_if_alike, upsample
from fusiontrain.imaging.masks import ms_valid_mask
from fusiontrain.imaging.pan_batch import PanBatch, Statistics

TINY = 1e-6  # DN; prevents division by zero in constant bands
_RIDGE = 1e-4  # ridge regularization, relative to the bands' mean variance
_DARKEST = 3.0  # standard deviations below the mean: the lower limit of `Statistics.dark`


@dataclass(frozen=True, kw_only=True, slots=True)
class InjectionImages:
    """Images of the detail injection, DN; (B, C, H, W) unless noted.

    Those of PAN have one band where all bands' blur is alike.
    """

    pan: Tensor  # (B, 1, H, W), the input PAN
    up: Tensor  # interpolated MS
    pan_soft: Tensor  # PAN blurred to the output's softness
    pan_low: Tensor  # pan_soft through the band's MTF, decimated and interpolated
    pan_low_ms: Tensor  # (B, C or 1, h, w), pan_low before interpolation
    ms: Tensor  # (B, C, h, w), the input MS
    ratio: int

    @property
    def detail(self) -> Tensor:
        """PAN detail that the MS lacks, (B, C, H, W) DN."""
        return self.pan_soft - self.pan_low

    def crop(self, rows: slice, columns: slice) -> "InjectionImages":
        """A window, in PAN pixels; its bounds are multiples of the ratio."""
        ratio = self.ratio
        down, along = (slice(s.start // ratio, s.stop // ratio) for s in (rows, columns))
        return InjectionImages(
            pan=self.pan[..., rows, columns],
            up=self.up[..., rows, columns],
            pan_soft=self.pan_soft[..., rows, columns],
            pan_low=self.pan_low[..., rows, columns],
            pan_low_ms=self.pan_low_ms[..., down, along],
            ms=self.ms[..., down, along],
            ratio=self.ratio,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ScenePart:
    """What a part of a scene is corrected by: its injection images and the scene's statistics."""

    images: InjectionImages
    statistics: Statistics

    def crop(self, rows: slice, columns: slice) -> "ScenePart":
        """A window, in PAN pixels; its bounds are multiples of the ratio."""
        return ScenePart(images=self.images.crop(rows, columns), statistics=self.statistics)


@dataclass(slots=True)
class InjectionMoments:
    """Sums over pixels, float64, for whole-scene statistics; windows are added up with +."""

    count: int  # PAN pixels
    sums: Tensor  # (8, B, C), see `moments_about`
    products: Tensor  # (B, C + 2, C + 2), over MS pixels, of [bands, PAN reduced to MS, 1]
    minimum: Tensor  # (B, C), smallest DN

    def __add__(self, other: "InjectionMoments") -> "InjectionMoments":
        return InjectionMoments(
            self.count + other.count,
            self.sums + other.sums,
            self.products + other.products,
            torch.minimum(self.minimum, other.minimum),
        )


def injection_images(batch: PanBatch) -> InjectionImages:
    """The images that detail injection consists of."""
    sigma_soft = gain_to_sigma(batch.softness, 1)
    sigma_low = torch.sqrt(sigma_soft**2 + gain_to_sigma(batch.mtf, batch.ratio) ** 2)
    pan_low_ms = blur_to_ms(batch.pan, one_if_alike(sigma_low), batch.ratio, batch.phase)
    return InjectionImages(
        pan=batch.pan,
        up=upsample(batch.ms, batch.ratio, batch.phase),
        pan_soft=blur(batch.pan, one_if_alike(sigma_soft)),
        pan_low=upsample(pan_low_ms, batch.ratio, batch.phase),
        pan_low_ms=pan_low_ms,
        ms=batch.ms,
        ratio=batch.ratio,
    )


def scene_part(batch: PanBatch) -> ScenePart:
    """Images of a batch, and its statistics: without any, those of its own images."""
    images = injection_images(batch)
    return ScenePart(
        images=images,
        statistics=batch.statistics or statistics_from_moments(injection_moments(images)),
    )


def injection_moments(images: InjectionImages, valid: Tensor | None = None) -> InjectionMoments:
    """Moments of a window or a whole scene; `valid` (H, W) bool: the PAN pixels to use."""
    about = images.ms.mean((-2, -1), keepdim=True), images.pan.mean((-2, -1), keepdim=True)
    return moments_about(
        images.up - about[0],
        *(image - about[1] for image in (images.pan_soft, images.pan_low, images.pan)),
        about=(about[0][..., 0, 0], about[1][..., 0, 0]),
        valid=None if valid is None else valid[None, None],
        ms=images.ms,
        pan_ms=images.pan_low_ms,
        valid_ms=None if valid is None else ms_valid_mask(valid, images.ratio),
    )


def moments_about(
    up: Tensor,
    soft: Tensor,
    low: Tensor,
    pan: Tensor,
    *,
    about: tuple[Tensor, Tensor],
    valid: Tensor | None,
    ms: Tensor,
    pan_ms: Tensor,
    valid_ms: Tensor | None,
) -> InjectionMoments:
    """Moments of images from which offsets `about` (MS (B, C), PAN (B, 1); DN) were subtracted.

    Shapes: up, soft, low, pan (B, C or 1, ...) with equal pixel counts, `valid` (1, 1, ...) for
            them; `ms` and `pan_ms` (B, C, h, w) DN with their offsets, `valid_ms` (h, w).
    Products of values near zero keep their float32 digits; the offsets are added in float64.
    """
    B, C = up.shape[:2]
    n = float(pan[0].numel())
    if valid is not None:
        counts = valid.to(up)
        n = float(valid.sum())
        up, soft, low, pan = (image * counts for image in (up, soft, low, pan))
    o, q = (x.double() for x in about)
    s_up, s_soft, s_low, s_pan = (x.sum(tuple(range(2, x.dim()))) for x in (up, soft, low, pan))
    s_up, s_soft, s_low, s_pan = (x.double() for x in (s_up, s_soft, s_low, s_pan))
    sums = torch.stack(
        [
            image.expand(B, C)
            for image in (
                s_up + n * o,
                _dot(up, up) + 2 * o * s_up + n * o * o,
                s_pan + n * q,
                _dot(pan, pan) + 2 * q * s_pan + n * q * q,
                s_soft + n * q,
                s_low + n * q,
                _dot(up, soft) + o * s_soft + q * s_up + n * o * q,
                _dot(low, soft) + q * (s_soft + s_low) + n * q * q,
            )
        ]
    )
    ms, pan_ms = ms.double(), pan_ms.double().mean(1, keepdim=True)
    channels = torch.cat((ms, pan_ms, torch.ones_like(pan_ms)), 1).flatten(2)
    candidates = ms
    if valid_ms is not None:
        channels = channels * valid_ms.flatten()
        candidates = torch.where(valid_ms, ms, torch.inf)
    return InjectionMoments(round(n), sums, channels @ channels.mT, candidates.amin((-2, -1)))


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Dot product of (B, C or 1, ..., K) tensors -> (B, C or 1); float32 sums of only K terms."""
    a, b = (x.flatten(2, -2) for x in (a, b))
    if a.shape[1] == b.shape[1]:
        return torch.linalg.vecdot(a, b).double().sum(-1)
    # A matrix product, where vecdot would copy the one for each of the many.
    one, many = sorted((a, b), key=lambda image: image.shape[1])
    return torch.einsum("bcnk,bnk->bcn", many, one[:, 0]).double().sum(-1)


def statistics_from_moments(m: InjectionMoments) -> Statistics:
    """Means, standard deviations, injection gains and the bands' weights in PAN, from sums."""
    up, up2, pan, pan2, soft, low, up_soft, low_soft = m.sums / m.count
    ms_std = (up2 - up * up).clamp_min(TINY).sqrt()
    minimum = torch.where(m.minimum.isfinite(), m.minimum, up)
    return Statistics(
        ms_mean=up.float(),
        ms_std=ms_std.float(),
        pan_mean=pan.float(),
        pan_std=(pan2 - pan * pan).clamp_min(TINY).sqrt().float(),
        gain=injection_gain(up_soft - up * soft, low_soft - low * soft).float(),
        weights=_weights(m.products).float(),
        # A single dark outlier must not determine the haze of a scene.
        dark=torch.maximum(minimum, up - _DARKEST * ms_std).float(),
    )


def injection_gain(cov_ms: Tensor, cov_low: Tensor) -> Tensor:
    """Full-scale injection gain, DN of the band per DN of PAN; 0 where PAN is constant.

    Shapes: cov_ms (B, C), covariance of interpolated MS and soft PAN; cov_low (B, C), of low PAN
            and soft PAN; DN^2 -> (B, C).
    Source: MTF-GLP-FS, see the module's docstring.
    """
    return torch.where(cov_low > TINY, cov_ms / cov_low.clamp_min(TINY), 0.0)


def _weights(products: Tensor) -> Tensor:
    """(B, C) weights of the bands in the regression of the reduced PAN on bands and a constant.

    Source: GSA's intensity, Aiazzi, Baronti and Selva 2007, IEEE TGRS 45(10):3230-3239.
    """
    count = products[:, -1:, -1:].clamp_min(1)
    mean = products[:, :-1, -1:] / count
    covariance = products[:, :-1, :-1] / count - mean @ mean.mT
    of_bands, with_pan = covariance[:, :-1, :-1], covariance[:, :-1, -1:]
    C = of_bands.shape[-1]
    # Nearly identical bands share their weight; constant bands get none.
    ridge = _RIDGE * of_bands.diagonal(dim1=1, dim2=2).mean(1)[:, None, None] + TINY
    return torch.linalg.solve(of_bands + ridge * torch.eye(C).to(of_bands), with_pan)[..., 0]
