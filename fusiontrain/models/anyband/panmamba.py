"""Pan-Mamba for any bands: scanned streams that swap half of their features, then cross-scans.

After He et al. 2025 (Information Fusion, doi:10.1016/j.inffus.2024.102779; arXiv:2402.12192).
One stream for the PAN and one per band. First each stream is scanned alone; then the streams swap
half of their features, PAN receiving the mean of the bands; then the bands are scanned with the
PAN stream as context. The scans of four_direction_ssd.py have a bounded receptive field: the
paper scans the whole image as one sequence.
"""

import torch
from torch import Tensor, nn

from fusiontrain.models.anyband.base import AnyBandBase, Film, last_layer, over_bands, to_bands
from fusiontrain.models.anyband.inputs import AnyBandInputs
from fusiontrain.models.layers.four_direction_ssd import FourDirectionSSD
from fusiontrain.models.layers.polyphase import SHUFFLE
from fusiontrain.models.layers.replicate_conv import ReplicateConv2d


class AnyBandPanMamba(AnyBandBase):
    def __init__(
        self, *, width: int = 32, alone: int = 1, swaps: int = 1, crossings: int = 2
    ) -> None:
        super().__init__(width)
        self.stem_pan = nn.Conv2d(SHUFFLE**2, width, 1)
        self.alone = nn.ModuleList(Pair(width, swapped=False) for _ in range(alone))
        self.swaps = nn.ModuleList(Pair(width, swapped=True) for _ in range(swaps))
        self.shallow = ReplicateConv2d(2 * width, width)
        self.crossings = nn.ModuleList(Crossing(width) for _ in range(crossings))
        self.head = last_layer(width)

    def body(self, x: Tensor, conditions: Tensor, inputs: AnyBandInputs) -> Tensor:
        pan = self.stem_pan(inputs.pan)
        for pair in (*self.alone, *self.swaps):
            x, pan = pair(x, pan, conditions, inputs.bands)
        x = x + self.shallow(torch.cat([x, to_bands(pan, inputs.bands)], 1))
        for crossing in self.crossings:
            x = crossing(x, pan, conditions, inputs.bands)
        return x


class Pair(nn.Module):
    """A scan of each stream; `swapped`: half of its features are the other stream's."""

    def __init__(self, width: int, *, swapped: bool) -> None:
        super().__init__()
        self.swapped = width // 2 if swapped else 0  # features
        self.of_bands, self.of_pan = FourDirectionSSD(width), FourDirectionSSD(width)
        self.film = Film(width)

    def forward(
        self, x: Tensor, pan: Tensor, conditions: Tensor, bands: int
    ) -> tuple[Tensor, Tensor]:
        mixed, mixed_pan = x, pan
        if half := self.swapped:
            mixed = torch.cat([to_bands(pan[:, :half], bands), x[:, half:]], 1)
            mixed_pan = torch.cat([over_bands(x[:, :half], bands), pan[:, half:]], 1)
        return x + self.film(self.of_bands(mixed), conditions), pan + self.of_pan(mixed_pan)


class Crossing(nn.Module):
    """A scan of the bands with PAN and their mean as context, then a 3 x 3 convolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scan = FourDirectionSSD(width, context=True)
        self.shared = nn.Conv2d(width, width, 1)
        self.near = ReplicateConv2d(width, width)
        self.film = Film(width)

    def forward(self, x: Tensor, pan: Tensor, conditions: Tensor, bands: int) -> Tensor:
        context = pan + self.shared(over_bands(x, bands))
        update = self.film(self.scan(x, to_bands(context, bands)), conditions)
        return x + update + self.near(update)
