"""What every classical method is made of, in either convention of phase. Axes as in batch.py.

"toolbox" reproduces the reference toolbox (Vivone et al. 2015 and 2021); "aligned" is right
for GeoTIFFs. A method is written once, on a Frame. Float64 throughout.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from fusiontrain.batch import Convention, PanBatch
from fusiontrain.filters import blur, degrade, gain_to_sigma, reduce_pan, upsample
from fusiontrain.toolbox import (
    GAUSS_GAIN,
    gauss_filter,
    imresize_bicubic,
    interp23,
    mtf_filter,
    pick,
    smooth_decimate,
)

TINY = torch.finfo(torch.float64).eps


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """MS on the PAN's grid, PAN, and the filters that lead between the grids."""

    ms: Tensor  # (B, C, h, w)
    up: Tensor  # (B, C, H, W), interpolated
    pan: Tensor  # (B, 1, H, W)
    mtf: Tensor  # (B, C)
    ratio: int
    convention: Convention

    def through_mtf(self, image: Tensor) -> Tensor:
        """Each band of (B, C, H, W) through its MTF, decimated and interpolated again."""
        if self.convention == "toolbox":
            return interp23(pick(self._mtf(image), self.ratio), self.ratio)
        return upsample(degrade(image, self.mtf, self.ratio), self.ratio)

    def pan_at_ms(self) -> Tensor:
        """(B, 1, h, w): the smooth low-pass by which GSA compares PAN with MS."""
        if self.convention == "toolbox":
            return smooth_decimate(self.pan, self.ratio)
        return degrade(self.pan, self.mtf.mean(1, keepdim=True), self.ratio)

    def pan_gauss(self) -> Tensor:
        """(B, 1, H, W): PAN through a nominal MTF of gain .30, not decimated."""
        if self.convention == "toolbox":
            return gauss_filter(self.pan, self.ratio)
        gain = torch.full_like(self.mtf[:, :1], GAUSS_GAIN)
        return blur(self.pan, gain_to_sigma(gain, self.ratio))

    def one_level_down(self, mtf_pan: float) -> tuple[Tensor, Tensor, Tensor]:
        """BDSD's training set: MS (B, C, h, w), that through the MTF, PAN through its own."""
        if self.convention == "toolbox":
            ms = imresize_bicubic(self.up, self.ratio)
            pan = pick(mtf_filter(self.pan, (mtf_pan,), self.ratio), self.ratio)
            return ms, self._mtf(ms), pan
        gain = torch.full_like(self.mtf[:, :1], mtf_pan)
        ms = reduce_pan(self.up, self.ratio)
        low = blur(ms, gain_to_sigma(self.mtf, self.ratio))
        return ms, low, degrade(self.pan, gain, self.ratio)

    def _mtf(self, image: Tensor) -> Tensor:
        return torch.cat(
            [
                mtf_filter(one[None], tuple(gains.tolist()), self.ratio)
                for one, gains in zip(image, self.mtf, strict=True)
            ]
        )


def frame_of(batch: PanBatch, convention: Convention) -> Frame:
    ms = batch.ms.double()
    return Frame(
        ms=ms,
        up=interp23(ms, batch.ratio) if convention == "toolbox" else upsample(ms, batch.ratio),
        pan=batch.pan.double(),
        mtf=batch.mtf.double(),
        ratio=batch.ratio,
        convention=convention,
    )


def mean(image: Tensor) -> Tensor:
    return image.mean((-2, -1), keepdim=True)


def spread(image: Tensor) -> Tensor:
    """Standard deviation with N - 1, kept in shape."""
    return image.flatten(-2).std(-1)[..., None, None]


def covariance(x: Tensor, y: Tensor) -> Tensor:
    """Per band, kept in shape; N - 1."""
    n = x.shape[-1] * x.shape[-2]
    return ((x - mean(x)) * (y - mean(y))).sum((-2, -1), keepdim=True) / (n - 1)


def regress(y: Tensor, on: Tensor) -> Tensor:
    """Least-squares weights of channels `on` (B, K, H, W) for y (B, D, H, W): (B, K, D)."""
    return torch.linalg.lstsq(on.flatten(2).mT, y.flatten(2).mT).solution


def combine(weights: Tensor, channels: Tensor) -> Tensor:
    """(B, K, D), (B, K, H, W) -> (B, D, H, W)."""
    return torch.einsum("bkd,bkhw->bdhw", weights, channels)
