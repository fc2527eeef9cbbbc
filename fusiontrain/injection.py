"""Blur-matched MTF-GLP: where every any-band network starts.

PAN is first softened to the wanted softness, then seen through each band's MTF; the
difference is the detail that the MS lacks. Axes as in batch.py.

Source: MTF-GLP-FS, Vivone, Restaino and Chanussot 2018, IEEE TIP 27(7):3418-3431, here with
decimation in the scene's phase and Lanczos interpolation, on a PAN of matched softness.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from fusiontrain.batch import PanBatch, Statistics
from fusiontrain.filters import blur, gain_to_sigma, to_ms, upsample

TINY = 1e-6  # DN; keeps flat bands from dividing by zero
_PRIOR = 0.02  # of PAN's variance: how strongly flat ground holds to the scene's gain


@dataclass(frozen=True, kw_only=True, slots=True)
class Injection:
    """Images on the PAN's grid, (B, C, H, W), DN."""

    pan: Tensor  # (B, 1, H, W), as it came
    up: Tensor  # MS, interpolated
    pan_soft: Tensor  # PAN at the wanted softness
    pan_low: Tensor  # that, through the band's MTF, decimated and interpolated
    pan_low_ms: Tensor  # the same before interpolation, (B, C, h, w)

    @property
    def detail(self) -> Tensor:
        return self.pan_soft - self.pan_low

    def cut(self, rows: slice, columns: slice) -> "Injection":
        return Injection(
            pan=self.pan[..., rows, columns],
            up=self.up[..., rows, columns],
            pan_soft=self.pan_soft[..., rows, columns],
            pan_low=self.pan_low[..., rows, columns],
            pan_low_ms=self.pan_low_ms,
        )


@dataclass(slots=True)
class Moments:
    """Sums that whole-scene statistics need, collected window by window; float64, (B, C)."""

    count: int  # pixels
    sums: Tensor  # (8, B, C)

    def __add__(self, other: "Moments") -> "Moments":
        return Moments(self.count + other.count, self.sums + other.sums)


def inject(batch: PanBatch) -> Injection:
    """The three images that injection methods are made of."""
    sigma_soft = gain_to_sigma(batch.softness, 1)
    sigma_low = torch.sqrt(sigma_soft**2 + gain_to_sigma(batch.mtf, batch.ratio) ** 2)
    pan_low_ms = to_ms(batch.pan, sigma_low, batch.ratio, batch.phase)
    return Injection(
        pan=batch.pan,
        up=upsample(batch.ms, batch.ratio, batch.phase),
        pan_soft=blur(batch.pan, sigma_soft),
        pan_low=upsample(pan_low_ms, batch.ratio, batch.phase),
        pan_low_ms=pan_low_ms,
    )


def local_gains(batch: PanBatch, images: Injection, stats: Statistics, sigma: float) -> Tensor:
    """Injection gains of each pixel's own surroundings, (B, C, H, W), DN per DN.

    Regression of the MS on the PAN seen at MS resolution under a Gaussian window of `sigma`
    MS pixels, drawn towards the scene's gain where the PAN is flat.
    """
    pan_low = images.pan_low_ms
    widths = torch.full_like(batch.mtf, sigma)
    seen = torch.stack([batch.ms, pan_low, batch.ms * pan_low, pan_low * pan_low])
    ms, low, product, square = (blur(image, widths) for image in seen)
    prior = _PRIOR * (stats.pan_std**2)[..., None, None]
    gain = stats.gain[..., None, None]
    local = (product - ms * low + prior * gain) / ((square - low * low).clamp_min(0) + prior)
    return upsample(local, batch.ratio, batch.phase)


def moments(images: Injection, valid: Tensor | None = None) -> Moments:
    """Sums over the pixels of one window, or of a whole scene; `valid` (H, W) counts only data."""
    up, soft, low = (x.double() for x in (images.up, images.pan_soft, images.pan_low))
    pan = images.pan.double().expand_as(up)
    products = torch.stack((up, up * up, pan, pan * pan, soft, low, up * soft, low * soft))
    if valid is None:
        return Moments(up.shape[-1] * up.shape[-2], products.sum((-2, -1)))
    return Moments(int(valid.sum()), (products * valid).sum((-2, -1)))


def statistics(m: Moments) -> Statistics:
    """Means, spreads and full-scale injection gains from sums."""
    up, up2, pan, pan2, soft, low, up_soft, low_soft = m.sums / m.count
    cov_up, cov_low = up_soft - up * soft, low_soft - low * soft
    return Statistics(
        ms_mean=up.float(),
        ms_std=(up2 - up * up).clamp_min(TINY).sqrt().float(),
        pan_mean=pan.float(),
        pan_std=(pan2 - pan * pan).clamp_min(TINY).sqrt().float(),
        gain=torch.where(cov_low > TINY, cov_up / cov_low.clamp_min(TINY), 0.0).float(),
    )
