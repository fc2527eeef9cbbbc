"""Blur-matched MTF-GLP: where every any-band network starts.

PAN is first softened to the wanted softness, then seen through each band's MTF; the
difference is the detail that the MS lacks. Axes as in batch.py.

Source: MTF-GLP-FS, Vivone, Restaino and Chanussot 2018, IEEE TIP 27(7):3418-3431, here with
area-aligned decimation and bicubic interpolation, on a PAN of matched softness.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from fusiontrain.batch import PanBatch, Statistics
from fusiontrain.filters import blur, gain_to_sigma, upsample

TINY = 1e-6  # DN; keeps flat bands from dividing by zero


@dataclass(frozen=True, kw_only=True, slots=True)
class Injection:
    """Images on the PAN's grid, (B, C, H, W), DN."""

    up: Tensor  # MS, interpolated
    pan_soft: Tensor  # PAN at the wanted softness
    pan_low: Tensor  # that, through the band's MTF, decimated and interpolated

    @property
    def detail(self) -> Tensor:
        return self.pan_soft - self.pan_low


@dataclass(slots=True)
class Moments:
    """Sums that whole-scene statistics need, collected window by window; float64, (B, C)."""

    count: int  # pixels
    sums: Tensor  # (7, B, C)

    def __add__(self, other: "Moments") -> "Moments":
        return Moments(self.count + other.count, self.sums + other.sums)


def inject(batch: PanBatch) -> Injection:
    """The three images that injection methods are made of."""
    sigma_soft = gain_to_sigma(batch.softness, 1)
    sigma_low = torch.sqrt(sigma_soft**2 + gain_to_sigma(batch.mtf, batch.ratio) ** 2)
    return Injection(
        up=upsample(batch.ms, batch.ratio),
        pan_soft=blur(batch.pan, sigma_soft),
        pan_low=upsample(blur(batch.pan, sigma_low, step=batch.ratio), batch.ratio),
    )


def moments(images: Injection) -> Moments:
    """Sums over the pixels of one window, or of a whole scene."""
    up, soft, low = (x.double() for x in (images.up, images.pan_soft, images.pan_low))
    products = (up, up * up, low, low * low, soft, up * soft, low * soft)
    sums = torch.stack([p.sum((-2, -1)) for p in products])
    return Moments(images.up.shape[-1] * images.up.shape[-2], sums)


def statistics(m: Moments) -> Statistics:
    """Means, spreads and full-scale injection gains from sums."""
    up, up2, low, low2, soft, up_soft, low_soft = m.sums / m.count
    cov_up, cov_low = up_soft - up * soft, low_soft - low * soft
    return Statistics(
        ms_mean=up.float(),
        ms_std=(up2 - up * up).clamp_min(TINY).sqrt().float(),
        pan_mean=low.float(),
        pan_std=(low2 - low * low).clamp_min(TINY).sqrt().float(),
        gain=torch.where(cov_low > TINY, cov_up / cov_low.clamp_min(TINY), 0.0).float(),
    )
