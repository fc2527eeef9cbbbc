"""LAGConv-Net: convolutions whose taps are weighted at every pixel.

Source: Jin, Zhang, Jiang, Vivone and Deng 2022, AAAI 36(1):1113-1121. A small network
weights the k x k taps of a shared kernel at each pixel. A bias for each feature depends on the
mean of the whole image, so that every output pixel depends on every input pixel. Five residual
blocks of 32 features between a first and a last such layer. Any ratio.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fusiontrain.models.published.base import FULL_SCALE, NetworkInputs, PublishedNetwork, conv


class LAGConvNet(PublishedNetwork):
    def __init__(
        self, *, bands: int, width: int = 32, blocks: int = 5, full_scale: int = FULL_SCALE
    ) -> None:
        super().__init__(bands=bands, full_scale=full_scale)
        self.stem = AdaptiveConv(bands + 1, width)
        self.blocks = nn.Sequential(*(AdaptiveResidual(width) for _ in range(blocks)))
        self.head = AdaptiveConv(width, bands)

    def fuse(self, inputs: NetworkInputs) -> Tensor:
        x = F.relu(self.stem(torch.cat([inputs.pan, inputs.up], 1)))
        return inputs.up + self.head(self.blocks(x))


class AdaptiveResidual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = AdaptiveConv(width, width), AdaptiveConv(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.relu(self.first(x)))


class AdaptiveConv(nn.Module):
    """A convolution with a weight in (0, 1) per tap and pixel, and a bias from the image's mean."""

    def __init__(self, inputs: int, outputs: int, side: int = 3) -> None:
        super().__init__()
        taps = side**2
        self.side = side
        self.kernel = nn.Conv2d(inputs, outputs, side, bias=False)
        self.emphasis = nn.Sequential(
            conv(inputs, taps, side),
            nn.ReLU(),
            nn.Conv2d(taps, taps, 1),
            nn.ReLU(),
            nn.Conv2d(taps, taps, 1),
            nn.Sigmoid(),
        )
        self.bias = nn.Sequential(
            nn.Conv2d(inputs, outputs, 1), nn.ReLU(), nn.Conv2d(outputs, outputs, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        H, W = x.shape[-2:]
        emphasis = self.emphasis(x)
        y = self.bias(x.mean((-2, -1), keepdim=True))
        padded = F.pad(x, (self.side // 2,) * 4)
        # Tap by tap: all patches at once would need nine times the memory.
        for tap in range(self.side**2):
            row, column = divmod(tap, self.side)
            shifted = padded[..., row : row + H, column : column + W]
            weights = self.kernel.weight[:, :, row, column, None, None]
            y = y + F.conv2d(shifted * emphasis[:, tap : tap + 1], weights)
        return y
