"""Blur-matched MTF-GLP: where every any-band network starts.

PAN is first softened to the wanted softness, then seen through each band's MTF; the
difference is the detail that the MS lacks. Axes as in pan_batch.py.

Source: MTF-GLP-FS, Vivone, Restaino and Chanussot 2018, IEEE TIP 27(7):3418-3431, here with
decimation in the scene's phase and Lanczos interpolation, on a PAN of matched softness.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from fusiontrain.imaging.filters import blur, gain_to_sigma, to_ms, upsample
from fusiontrain.imaging.masks import ms_valid_mask
from fusiontrain.imaging.pan_batch import PanBatch, Statistics

TINY = 1e-6  # DN; keeps flat bands from dividing by zero
_RIDGE = 1e-4  # of the bands' mean variance
_DARKEST = 3.0  # spreads under the mean


@dataclass(frozen=True, kw_only=True, slots=True)
class InjectionImages:
    """Images on the PAN's grid, (B, C, H, W), DN."""

    pan: Tensor  # (B, 1, H, W), as it came
    up: Tensor  # MS, interpolated
    pan_soft: Tensor  # PAN at the wanted softness
    pan_low: Tensor  # that, through the band's MTF, decimated and interpolated
    pan_low_ms: Tensor  # the same before interpolation, (B, C, h, w)
    ms: Tensor  # as it came, (B, C, h, w)
    ratio: int

    @property
    def detail(self) -> Tensor:
        return self.pan_soft - self.pan_low

    def crop(self, rows: slice, columns: slice) -> "InjectionImages":
        """The part at these PAN pixels, which begin and end on the MS's grid."""
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


@dataclass(slots=True)
class InjectionMoments:
    """Sums that whole-scene statistics need, collected window by window; float64."""

    count: int  # PAN pixels
    sums: Tensor  # (8, B, C)
    products: Tensor  # (B, C + 2, C + 2), MS pixels: of the bands, PAN seen as MS, and one
    least: Tensor  # (B, C), the smallest DN

    def __add__(self, other: "InjectionMoments") -> "InjectionMoments":
        return InjectionMoments(
            self.count + other.count,
            self.sums + other.sums,
            self.products + other.products,
            torch.minimum(self.least, other.least),
        )


def injection_images(batch: PanBatch) -> InjectionImages:
    """The three images that injection methods are made of."""
    sigma_soft = gain_to_sigma(batch.softness, 1)
    sigma_low = torch.sqrt(sigma_soft**2 + gain_to_sigma(batch.mtf, batch.ratio) ** 2)
    pan_low_ms = to_ms(batch.pan, sigma_low, batch.ratio, batch.phase)
    return InjectionImages(
        pan=batch.pan,
        up=upsample(batch.ms, batch.ratio, batch.phase),
        pan_soft=blur(batch.pan, sigma_soft),
        pan_low=upsample(pan_low_ms, batch.ratio, batch.phase),
        pan_low_ms=pan_low_ms,
        ms=batch.ms,
        ratio=batch.ratio,
    )


def injection_moments(images: InjectionImages, valid: Tensor | None = None) -> InjectionMoments:
    """Sums over the pixels of one window, or of a whole scene; `valid` (H, W) counts only data."""
    about = images.ms.mean((-2, -1), keepdim=True), images.pan.mean((-2, -1), keepdim=True)
    return moments_about(
        images.up - about[0],
        *(image - about[1] for image in (images.pan_soft, images.pan_low, images.pan)),
        about=(about[0][..., 0, 0], about[1][..., 0, 0]),
        valid=None if valid is None else valid[None, None],
        ms=images.ms,
        seen=images.pan_low_ms,
        kept=None if valid is None else ms_valid_mask(valid, images.ratio),
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
    seen: Tensor,
    kept: Tensor | None,
) -> InjectionMoments:
    """Moments of images less `about`: (B, C) of the MS's kind, (B, 1) of the PAN's, DN.

    Shapes: images (B, C or 1, ...) of as many pixels each, `valid` (1, 1, ...) as they; `ms` and
            `seen` (the PAN) on the MS's grid, as they come, and `kept` (h, w) of them.
    Near zero a float32 product keeps its digits; the sums of `about` are made up for in float64.
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
    ms, seen = ms.double(), seen.double().mean(1, keepdim=True)
    beside = torch.cat((ms, seen, torch.ones_like(seen)), 1).flatten(2)
    least = ms
    if kept is not None:
        beside = beside * kept.flatten()
        least = torch.where(kept, ms, torch.inf)
    return InjectionMoments(round(n), sums, beside @ beside.mT, least.amin((-2, -1)))


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """(B, C or 1, ..., K) twice -> (B, C or 1), float64: no float32 sum is of more than K."""
    C = max(a.shape[1], b.shape[1])
    parts = torch.einsum(
        "bcnk,bcnk->bcn", *(x.flatten(2, -2).expand(-1, C, -1, -1) for x in (a, b))
    )
    return parts.double().sum(-1)


def statistics_from_moments(m: InjectionMoments) -> Statistics:
    """Means, spreads, full-scale injection gains, and how PAN is made of the bands, from sums."""
    up, up2, pan, pan2, soft, low, up_soft, low_soft = m.sums / m.count
    cov_up, cov_low = up_soft - up * soft, low_soft - low * soft
    ms_std = (up2 - up * up).clamp_min(TINY).sqrt()
    least = torch.where(m.least.isfinite(), m.least, up)
    return Statistics(
        ms_mean=up.float(),
        ms_std=ms_std.float(),
        pan_mean=pan.float(),
        pan_std=(pan2 - pan * pan).clamp_min(TINY).sqrt().float(),
        gain=torch.where(cov_low > TINY, cov_up / cov_low.clamp_min(TINY), 0.0).float(),
        weights=_weights(m.products).float(),
        # One dark outlier must not set the haze of a scene.
        dark=torch.maximum(least, up - _DARKEST * ms_std).float(),
    )


def _weights(products: Tensor) -> Tensor:
    """(B, C) weights of the bands in the regression of PAN, seen as MS, on them and one.

    Source: GSA's intensity, Aiazzi, Baronti and Selva 2007, IEEE TGRS 45(10):3230-3239.
    """
    count = products[:, -1:, -1:].clamp_min(1)
    mean = products[:, :-1, -1:] / count
    spread = products[:, :-1, :-1] / count - mean @ mean.mT
    among, with_pan = spread[:, :-1, :-1], spread[:, :-1, -1:]
    C = among.shape[-1]
    # Bands that are nearly copies share their weight; flat ones get none.
    held = _RIDGE * among.diagonal(dim1=1, dim2=2).mean(1)[:, None, None] + TINY
    return torch.linalg.solve(among + held * torch.eye(C).to(among), with_pan)[..., 0]
