"""GPPNN for any bands: gradient steps on how MS and PAN arise, one sensor of them known.

After Xu et al. 2021 (CVPR, 1366-1375, doi:10.1109/CVPR46437.2021.00142). Print learns both
sensors for the bands it was trained on. Here the MS's is physics: each band's own MTF blur and
decimation, at any ratio; the PAN's is a shared network a band whose mean over the bands is
what the PAN would see. Steps begin at the injection, and each adds what networks with a last
layer of zero make of what is missing, so that nothing moves before training. Images are kept
as SHUFFLE^2 channels of the frame's coarser grid.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fusiontrain.imaging.filters import degrade
from fusiontrain.models.anyband.base import AnyBandBase, Film, over_bands, to_bands
from fusiontrain.models.anyband.inputs import AnyBandInputs
from fusiontrain.models.layers.polyphase import SHUFFLE, upsampled
from fusiontrain.models.layers.replicate_conv import ReplicateConv2d

_CHANNELS = SHUFFLE**2


class AnyBandGPPNN(AnyBandBase):
    def __init__(self, *, width: int = 32, layers: int = 4) -> None:
        super().__init__(width)
        self.layers = nn.ModuleList(Layer(width) for _ in range(layers))

    def correct(self, x: Tensor, conditions: Tensor, inputs: AnyBandInputs) -> Tensor:
        stats = inputs.stats
        mean, spread = stats.ms_mean[..., None, None], stats.ms_std[..., None, None]
        ms = (inputs.batch.ms - mean) / spread
        start = inputs.injected.flatten(0, 1)
        fused, pan = start, inputs.pan
        for layer in self.layers:
            fused = layer(fused, x, self._missing(fused, ms, inputs), pan, conditions, inputs.bands)
        return fused - start

    def _missing(self, fused: Tensor, ms: Tensor, inputs: AnyBandInputs) -> Tensor:
        """What the MS has and its sensor would not see in `fused`; on the frame's grid."""
        batch = inputs.batch
        H, W = batch.pan.shape[-2:]
        # Physics in full precision, as in the frame.
        with torch.autocast(fused.device.type, enabled=False):
            image = F.pixel_shuffle(fused.to(ms.dtype), SHUFFLE)[..., :H, :W]
            image = image.reshape(*ms.shape[:2], H, W)
            missing = ms - degrade(image, batch.mtf, batch.ratio, batch.phase)
            return upsampled(missing, batch.ratio, batch.phase).flatten(0, 1)


class Layer(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.ms_adjoint, self.prior = Step(width), Step(width, told=True)
        self.pan_sensor = _pair(width)
        self.pan_adjoint = _pair(width)
        _close(self.pan_adjoint[-1])

    def forward(
        self,
        fused: Tensor,
        told: Tensor,
        missing: Tensor,
        pan: Tensor,
        conditions: Tensor,
        bands: int,
    ) -> Tensor:
        fused = fused + self.ms_adjoint(missing, conditions)
        missing = pan - over_bands(self.pan_sensor(fused), bands)
        fused = fused + to_bands(self.pan_adjoint(missing), bands)
        return fused + self.prior(fused, conditions, told)


class Step(nn.Module):
    """Two convolutions, the band's conditions in between; `told` adds the frame's features."""

    def __init__(self, width: int, *, told: bool = False) -> None:
        super().__init__()
        self.first, self.second = (
            ReplicateConv2d(_CHANNELS, width),
            ReplicateConv2d(width, _CHANNELS),
        )
        self.told = nn.Conv2d(width, width, 1) if told else None
        self.film = Film(width)
        _close(self.second)

    def forward(self, x: Tensor, conditions: Tensor, told: Tensor | None = None) -> Tensor:
        y = self.first(x)
        if self.told is not None and told is not None:
            y = y + self.told(told)
        stepped: Tensor = self.second(F.gelu(self.film(y, conditions)))
        return stepped


def _pair(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(_CHANNELS, width, 1), nn.GELU(), nn.Conv2d(width, _CHANNELS, 1))


def _close(layer: nn.Module) -> None:
    """Nothing before training."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
