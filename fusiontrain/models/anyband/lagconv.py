"""LAGConv for any bands: convolutions whose taps are weighted at every pixel.

After Jin et al. 2022 (AAAI, doi:10.1609/aaai.v36i1.19996). A small network weights the 3 x 3
taps of a shared kernel at each pixel of each band. The paper adds a bias from the image's mean;
here FiLM replaces it, so that a window is fused like the whole scene.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fusiontrain.models.anyband.base import AnyBandBase, Film, last_layer, over_bands, to_bands
from fusiontrain.models.anyband.inputs import AnyBandInputs
from fusiontrain.models.layers.replicate_conv import ReplicateConv2d

_SIDE = 3
_TAPS = _SIDE**2


class AnyBandLAGConv(AnyBandBase):
    def __init__(self, *, width: int = 32, blocks: int = 4) -> None:
        super().__init__(width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(blocks))
        self.head = last_layer(width)

    def body(self, x: Tensor, conditions: Tensor, inputs: AnyBandInputs) -> Tensor:
        for block in self.blocks:
            x = block(x, conditions, inputs.bands)
        return x


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = WeighedConv(width), WeighedConv(width)
        self.shared = nn.Conv2d(width, width, 1)
        self.film = Film(width)

    def forward(self, x: Tensor, conditions: Tensor, bands: int) -> Tensor:
        y = F.relu(self.film(self.first(x), conditions))
        y = y + to_bands(self.shared(over_bands(y, bands)), bands)
        return x + self.second(y)


class WeighedConv(nn.Module):
    """A 3 x 3 convolution with a weight in (0, 1) for every tap and pixel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.kernel = nn.Conv2d(width, width, _SIDE)
        self.emphasis = nn.Sequential(
            ReplicateConv2d(width, _TAPS),
            nn.ReLU(),
            nn.Conv2d(_TAPS, _TAPS, 1),
            nn.ReLU(),
            nn.Conv2d(_TAPS, _TAPS, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        H, W = x.shape[-2:]
        emphasis = self.emphasis(x)
        padded = F.pad(x, (_SIDE // 2,) * 4, mode="replicate")
        offsets = (divmod(tap, _SIDE) for tap in range(_TAPS))
        shifted = [padded[..., row : row + H, column : column + W] for row, column in offsets]
        # On the coarse grid the patches fit memory: one product for all taps.
        patches = torch.stack(shifted, 2) * emphasis[:, None]
        weight = self.kernel.weight.flatten(1)[..., None, None]
        return F.conv2d(patches.flatten(1, 2), weight, self.kernel.bias)
