"""GPPNN: gradient steps on how MS and PAN arise from the fused image, unfolded into layers.

Source: Xu, Zhang, Zhao, Sun, Liu and Zhang 2021, CVPR, 1366-1375. Each of eight layers takes
two steps. One compares what the MS sensor would see with the MS, the other what the PAN
sensor would see with the PAN; small networks stand for the sensors, their adjoints and the
priors (3 x 3 kernels for the MS, 1 x 1 for the PAN, no biases). The paper resamples by
bicubic interpolation with corners aligned, which shifts with the size of the image; here
decimation is bicubic in the batch's own phase, and enlarging is filters.upsample. Any ratio.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from fusiontrain.imaging.filters import upsample
from fusiontrain.models.published.base import FULL_SCALE, Published, Seen, conv


class GPPNN(Published):
    def __init__(
        self, *, bands: int, width: int = 64, layers: int = 8, full_scale: int = FULL_SCALE
    ) -> None:
        super().__init__(bands=bands, full_scale=full_scale)
        self.layers = nn.ModuleList(Layer(bands, width) for _ in range(layers))

    def fuse(self, seen: Seen) -> Tensor:
        fused = seen.up
        for layer in self.layers:
            fused = layer(fused, seen)
        return fused


class Layer(nn.Module):
    def __init__(self, bands: int, width: int) -> None:
        super().__init__()
        self.ms_sensor = _pair(bands, width, bands, 3)
        self.ms_adjoint = _pair(bands, width, bands, 3)
        self.ms_prior = _pair(bands, width, bands, 3)
        self.pan_sensor = _pair(bands, width, 1, 1)
        self.pan_adjoint = _pair(1, width, bands, 1)
        self.pan_prior = _pair(bands, width, bands, 1)

    def forward(self, fused: Tensor, seen: Seen) -> Tensor:
        missing = seen.ms - _decimate(self.ms_sensor(fused), seen)
        step = upsample(self.ms_adjoint(missing), seen.ratio, seen.phase)
        fused = self.ms_prior(fused + step)
        missing = seen.pan - self.pan_sensor(fused)
        return self.pan_prior(fused + self.pan_adjoint(missing))


def _pair(inputs: int, width: int, outputs: int, side: int) -> nn.Sequential:
    return nn.Sequential(
        conv(inputs, width, side, bias=False), nn.ReLU(), conv(width, outputs, side, bias=False)
    )


def _decimate(image: Tensor, seen: Seen) -> Tensor:
    """Bicubic, without antialiasing, at the places of the MS's pixels."""
    r = seen.ratio
    if seen.phase == "toolbox":  # pixels of the fine grid themselves
        return image[..., r // 2 :: r, r // 2 :: r]
    return F.interpolate(image, size=seen.ms.shape[-2:], mode="bicubic", align_corners=False)
