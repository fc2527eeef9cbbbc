"""GPPNN for any bands: unrolled gradient steps on the models of MS and PAN formation.

After Xu et al. 2021 (CVPR, 1366-1375, doi:10.1109/CVPR46437.2021.00142). The paper
learns both sensors for a fixed set of bands. Here the MS sensor is given: each band's MTF blur
and decimation, at any ratio. The PAN sensor is a network shared by the bands, averaged over them.
Steps start at the injection; each adds the output of networks whose last layer is initialized to
zero. Images are in polyphase form, SHUFFLE^2 channels.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from fusiontrain.imaging.filters import degrade
from fusiontrain.imaging.full_precision import full_precision
from fusiontrain.models.anyband.base import AnyBandBase, Film, over_bands, to_bands
from fusiontrain.models.anyband.inputs import AnyBandInputs
from fusiontrain.models.layers.polyphase import SHUFFLE, upsample_polyphase
from fusiontrain.models.layers.replicate_conv import ReplicateConv2d

_CHANNELS = SHUFFLE**2


class AnyBandGPPNN(AnyBandBase):
    def __init__(self, *, width: int = 32, layers: int = 4) -> None:
        super().__init__(width)
        self.layers = nn.ModuleList(Layer(width) for _ in range(layers))

    def correct(self, x: Tensor, conditions: Tensor, inputs: AnyBandInputs) -> Tensor:
        stats = inputs.stats
        mean, std = stats.ms_mean[..., None, None], stats.ms_std[..., None, None]
        ms = (inputs.batch.ms - mean) / std
        start = inputs.injected.flatten(0, 1)
        fused, pan = start, inputs.pan
        for layer in self.layers:
            fused = layer(fused, x, self._missing(fused, ms, inputs), pan, conditions, inputs.bands)
        return fused - start

    def _missing(self, fused: Tensor, ms: Tensor, inputs: AnyBandInputs) -> Tensor:
        """Residual MS - degrade(fused), interpolated: (B * C, P, h', w'), units of std."""
        batch = inputs.batch
        H, W = batch.pan.shape[-2:]
        # Full precision, as in inputs.py.
        with full_precision(fused.device):
            image = F.pixel_shuffle(fused.to(ms.dtype), SHUFFLE)[..., :H, :W]
            image = image.reshape(*ms.shape[:2], H, W)
            missing = ms - degrade(image, batch.mtf, batch.ratio, batch.phase)
            return upsample_polyphase(missing, batch.ratio, batch.phase).flatten(0, 1)


class Layer(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.ms_adjoint, self.prior = Step(width), Step(width, features=True)
        self.pan_sensor = _pair(width)
        self.pan_adjoint = _pair(width)
        _zero_init(self.pan_adjoint[-1])

    def forward(
        self,
        fused: Tensor,
        features: Tensor,
        missing: Tensor,
        pan: Tensor,
        conditions: Tensor,
        bands: int,
    ) -> Tensor:
        fused = fused + self.ms_adjoint(missing, conditions)
        missing = pan - over_bands(self.pan_sensor(fused), bands)
        fused = fused + to_bands(self.pan_adjoint(missing), bands)
        return fused + self.prior(fused, conditions, features)


class Step(nn.Module):
    """Two convolutions with FiLM between them; with `features` the stem's features are added."""

    def __init__(self, width: int, *, features: bool = False) -> None:
        super().__init__()
        self.first, self.second = (
            ReplicateConv2d(_CHANNELS, width),
            ReplicateConv2d(width, _CHANNELS),
        )
        self.told = nn.Conv2d(width, width, 1) if features else None
        self.film = Film(width)
        _zero_init(self.second)

    def forward(self, x: Tensor, conditions: Tensor, features: Tensor | None = None) -> Tensor:
        y = self.first(x)
        if self.told is not None and features is not None:
            y = y + self.told(features)
        stepped: Tensor = self.second(F.gelu(self.film(y, conditions)))
        return stepped


def _pair(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(_CHANNELS, width, 1), nn.GELU(), nn.Conv2d(width, _CHANNELS, 1))


def _zero_init(layer: nn.Module) -> None:
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
