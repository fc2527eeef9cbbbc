"""GPPNN: unrolled gradient steps on the models of MS and PAN formation.

Source: Xu, Zhang, Zhao, Sun, Liu and Zhang 2021, CVPR, 1366-1375. Each of eight layers takes
two steps. One reduces the residual of the MS model, the other that of the PAN model; small
networks replace the sensors, their adjoints and the priors (3 x 3 kernels for the MS, 1 x 1 for
the PAN, no biases). The paper resamples by bicubic interpolation with aligned corners, whose
phase depends on the image's size; here decimation is bicubic in the batch's phase, and
interpolation is filters.upsample. Any ratio.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from fusiontrain.imaging.filters import upsample
from fusiontrain.models.published.base import FULL_SCALE, NetworkInputs, PublishedNetwork, conv


class GPPNN(PublishedNetwork):
    def __init__(
        self, *, bands: int, width: int = 64, layers: int = 8, full_scale: int = FULL_SCALE
    ) -> None:
        super().__init__(bands=bands, full_scale=full_scale)
        self.layers = nn.ModuleList(Layer(bands, width) for _ in range(layers))

    def fuse(self, inputs: NetworkInputs) -> Tensor:
        fused = inputs.up
        for layer in self.layers:
            fused = layer(fused, inputs)
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

    def forward(self, fused: Tensor, inputs: NetworkInputs) -> Tensor:
        missing = inputs.ms - _decimate(self.ms_sensor(fused), inputs)
        step = upsample(self.ms_adjoint(missing), inputs.ratio, inputs.phase)
        fused = self.ms_prior(fused + step)
        missing = inputs.pan - self.pan_sensor(fused)
        return self.pan_prior(fused + self.pan_adjoint(missing))


def _pair(inputs: int, width: int, outputs: int, side: int) -> nn.Sequential:
    return nn.Sequential(
        conv(inputs, width, side, bias=False), nn.ReLU(), conv(width, outputs, side, bias=False)
    )


def _decimate(image: Tensor, inputs: NetworkInputs) -> Tensor:
    """Bicubic, without antialiasing, at the MS pixels."""
    r = inputs.ratio
    if inputs.phase == "toolbox":  # MS pixels coincide with PAN pixels
        return image[..., r // 2 :: r, r // 2 :: r]
    return F.interpolate(image, size=inputs.ms.shape[-2:], mode="bicubic", align_corners=False)
