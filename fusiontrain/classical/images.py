"""Images that classical methods share, in either grid phase. Axes as in pan_batch.py.

"toolbox" reproduces the reference toolbox (Vivone et al. 2015 and 2021); "aligned" is right
for GeoTIFFs. A method is written once, on MethodInputs. Images are computed
when first used and kept, so that methods scored on one scene share them.
"""

import math
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from fusiontrain.imaging.filters import blur, degrade, gain_to_sigma, mirror, reduce_pan, upsample
from fusiontrain.imaging.pan_batch import PanBatch
from fusiontrain.imaging.reference_toolbox import (
    GAUSS_GAIN,
    decimate,
    gauss_filter,
    imresize_bicubic,
    imresize_up,
    interp23,
    mtf_filter,
    smooth_decimate,
)
from shards.sensors import GENERIC, Sensor

TINY = torch.finfo(torch.float64).eps
SPLINE = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)


class MethodInputs:
    """MS and PAN of one batch, and the filters that lead between their grids."""

    def __init__(self, batch: PanBatch, sensor: Sensor = GENERIC) -> None:
        self.toolbox = batch.phase == "toolbox"
        # The toolbox computes in float64. Elsewhere pixels in float32 are five times faster;
        # sums over pixels are float64 in both.
        dtype = torch.float64 if self.toolbox else torch.float32
        self.ms = batch.ms.to(dtype)  # (B, C, h, w)
        self.pan = batch.pan.to(dtype)  # (B, 1, H, W)
        self.mtf = batch.mtf.to(dtype)  # (B, C)
        self.sensor = sensor
        self.ratio = batch.ratio

    @property
    def bands(self) -> int:
        return self.ms.shape[1]

    def per_band(self, values: Tensor) -> Tensor:
        """(B, K) -> (B, K, 1, 1), in the images' precision."""
        return values[..., None, None].to(self.pan)

    @cached_property
    def up(self) -> Tensor:
        """(B, C, H, W): MS, interpolated."""
        return self.interpolate(self.ms)

    @cached_property
    def pan_low(self) -> Tensor:
        """(B, C, H, W): PAN through each band's MTF, decimated and interpolated."""
        if self.toolbox:
            return self.through_mtf(self.pan.expand_as(self.up))
        alike = bool((self.mtf == self.mtf[:, :1]).all())  # as they are where they are estimated
        low = self.interpolate(
            degrade(self.pan, self.mtf[:, :1] if alike else self.mtf, self.ratio)
        )
        return low.expand_as(self.up)

    @cached_property
    def pan_gauss(self) -> Tensor:
        """(B, 1, H, W): PAN through a nominal MTF of gain .30, not decimated."""
        if self.toolbox:
            return gauss_filter(self.pan, self.ratio)
        gain = torch.full_like(self.mtf[:, :1], GAUSS_GAIN)
        return blur(self.pan, gain_to_sigma(gain, self.ratio))

    @cached_property
    def pan_bicubic(self) -> Tensor:
        """(B, 1, H, W): PAN reduced and enlarged by bicubic interpolation."""
        return self.bicubic_there_and_back(self.pan)

    @cached_property
    def pan_at_ms(self) -> Tensor:
        """(B, 1, h, w): the smooth low-pass by which GSA compares PAN with MS."""
        if self.toolbox:
            return smooth_decimate(self.pan, self.ratio)
        return degrade(self.pan, self.mtf.mean(1, keepdim=True), self.ratio)

    @cached_property
    def level_down(self) -> tuple[Tensor, Tensor, Tensor]:
        """BDSD's training set: MS (B, C, h, w), that through the MTF, PAN through its own."""
        if self.toolbox:
            ms = imresize_bicubic(self.up, self.ratio)
            pan = decimate(mtf_filter(self.pan, (self.sensor.mtf_pan,), self.ratio), self.ratio)
            return ms, self.mtf_blur(ms), pan
        gain = torch.full_like(self.mtf[:, :1], self.sensor.mtf_pan)
        ms = reduce_pan(self.up, self.ratio)
        return ms, self.mtf_blur(ms), degrade(self.pan, gain, self.ratio)

    def interpolate(self, image: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C, H, W), as the phase has it."""
        return interp23(image, self.ratio) if self.toolbox else upsample(image, self.ratio)

    def through_mtf(self, image: Tensor) -> Tensor:
        """Each band of (B, C, H, W) through its MTF, decimated and interpolated again."""
        return self.interpolate(self.to_ms(image))

    def to_ms(self, image: Tensor) -> Tensor:
        """Each band of (B, C, H, W) as the MS sensor sees it: (B, C, h, w)."""
        if self.toolbox:
            return decimate(self.mtf_blur(image), self.ratio)
        return degrade(image, self.mtf, self.ratio)

    def mtf_blur(self, image: Tensor) -> Tensor:
        """Each band of (B, C, ...) through its MTF, not decimated."""
        if not self.toolbox:
            return blur(image, gain_to_sigma(self.mtf, self.ratio))
        return torch.cat(
            [
                mtf_filter(item[None], tuple(gains.tolist()), self.ratio)
                for item, gains in zip(image, self.mtf, strict=True)
            ]
        )

    def bicubic_there_and_back(self, image: Tensor) -> Tensor:
        """Area-aligned in both conventions, as MATLAB's imresize is."""
        return imresize_up(imresize_bicubic(image, self.ratio), self.ratio).to(image.dtype)

    def wavelet_low(self, image: Tensor) -> Tensor:
        """The smooth plane of an undecimated spline pyramid, log2(ratio) levels."""
        taps = image.new_tensor(SPLINE)
        flat = image.reshape(-1, 1, *image.shape[-2:])
        levels = math.ceil(math.log2(self.ratio))
        # The way down extends the image at every level; the way up cuts that off again.
        for down in (True,) * levels + (False,) * levels:
            for axis, shape in ((2, (1, 1, -1, 1)), (3, (1, 1, 1, -1))):
                if down:
                    flat = mirror(flat, len(SPLINE) - 1, axis)
                flat = F.conv2d(flat, taps.reshape(shape))
        return flat.reshape(image.shape)


def combine(weights: Tensor, channels: Tensor) -> Tensor:
    """(B, K, D), (B, K, H, W) -> (B, D, H, W)."""
    return torch.einsum("bkd,bkhw->bdhw", weights.to(channels), channels)
