"""FusionMamba for any bands: two streams of four-direction scans with cross-scans in every stage.

After Peng et al. 2024 (IEEE TGRS, doi:10.1109/TGRS.2024.3496073; arXiv:2404.07932). In each
stage the PAN stream and each band's stream are scanned alone. Then each is scanned with the
other as its context, PAN with the mean of the bands, and the mean of both is added to the band.
The paper halves the image twice between stages; here all stages run on the polyphase grid, which
is coarse already, and the scans of four_direction_ssd.py have a bounded receptive field.
"""

from torch import Tensor, nn

from fusiontrain.models.anyband.base import AnyBandBase, Film, last_layer, over_bands, to_bands
from fusiontrain.models.anyband.inputs import AnyBandInputs
from fusiontrain.models.layers.four_direction_ssd import FourDirectionSSD
from fusiontrain.models.layers.polyphase import SHUFFLE
from fusiontrain.models.layers.replicate_conv import ReplicateConv2d


class AnyBandFusionMamba(AnyBandBase):
    def __init__(self, *, width: int = 32, stages: int = 2) -> None:
        super().__init__(width)
        self.stem_pan = nn.Conv2d(SHUFFLE**2, width, 1)
        self.stages = nn.ModuleList(Stage(width) for _ in range(stages))
        self.head = last_layer(width)

    def body(self, x: Tensor, conditions: Tensor, inputs: AnyBandInputs) -> Tensor:
        pan = self.stem_pan(inputs.pan)
        for stage in self.stages:
            x, pan = stage(x, pan, conditions, inputs.bands)
        return x


class Stage(nn.Module):
    """Both streams alone, then each with the other as context."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.alone = nn.ModuleList(FourDirectionSSD(width) for _ in range(2))
        self.crossed = nn.ModuleList(FourDirectionSSD(width, context=True) for _ in range(2))
        self.join = ReplicateConv2d(width, width)
        self.film = Film(width)

    def forward(
        self, x: Tensor, pan: Tensor, conditions: Tensor, bands: int
    ) -> tuple[Tensor, Tensor]:
        x = x + self.film(self.alone[0](x), conditions)
        pan = pan + self.alone[1](pan)
        mean = over_bands(x, bands)
        first = x + self.crossed[0](x, to_bands(pan, bands))
        second = pan + self.crossed[1](pan, mean)
        return x + self.join((first + to_bands(second, bands)) / 2), second
