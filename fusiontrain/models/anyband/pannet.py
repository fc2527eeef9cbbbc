"""PanNet and FusionNet for any bands: residual blocks on high-pass filtered images.

After Yang et al. 2017 (ICCV, doi:10.1109/ICCV.2017.193) and Deng et al. 2021 (IEEE TGRS,
doi:10.1109/TGRS.2020.3031366). As in PanNet the inputs are high-pass filtered (minus
means of 5 x 5 PAN pixels), so that the network cannot learn a sensor's colours; as in FusionNet
one of them is the difference of PAN and band. Four residual blocks as published, on the
polyphase grid, each with FiLM and the mean of all bands.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from fusiontrain.models.anyband.base import AnyBandBase, Film, last_layer, over_bands, to_bands
from fusiontrain.models.anyband.inputs import AnyBandInputs
from fusiontrain.models.layers.polyphase import SHUFFLE
from fusiontrain.models.layers.replicate_conv import ReplicateConv2d

_MEAN_SIDE = 5  # PAN pixels


class AnyBandPanNet(AnyBandBase):
    def __init__(self, *, width: int = 32, blocks: int = 4) -> None:
        super().__init__(width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(blocks))
        self.head = last_layer(width)

    def stem_input(self, inputs: AnyBandInputs) -> Tensor:
        # Padding is not counted: the mean of a constant image is constant up to its border.
        half = _MEAN_SIDE // 2
        images = F.pixel_shuffle(super().stem_input(inputs), SHUFFLE)
        low = F.avg_pool2d(images, _MEAN_SIDE, 1, half, count_include_pad=False)
        return F.pixel_unshuffle(images - low, SHUFFLE)

    def body(self, x: Tensor, conditions: Tensor, inputs: AnyBandInputs) -> Tensor:
        for block in self.blocks:
            x = block(x, conditions, inputs.bands)
        return x


class Block(nn.Module):
    """x + conv(relu(conv(x))), with the mean of all bands and FiLM in between."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = ReplicateConv2d(width, width), ReplicateConv2d(width, width)
        self.shared = nn.Conv2d(width, width, 1)
        self.film = Film(width)

    def forward(self, x: Tensor, conditions: Tensor, bands: int) -> Tensor:
        y = F.relu(self.first(F.relu(x)))
        y = y + to_bands(self.shared(over_bands(y, bands)), bands)
        return x + self.second(self.film(y, conditions))
