"""SwinIR (lightweight) with PAN as additional input: shifted-window attention at MS resolution.

Source: Liang, Cao, Sun, Zhang, Van Gool and Timofte 2021, ICCVW, 1833-1844: four groups of six
layers, 60 features, 6 heads, windows of 8, an MLP of twice the width, and one convolution
with a pixel shuffle to the image. No paper describes it for PAN and MS; here PAN is 16
input channels beside the MS (4 x 4 pixels: ratio 4 only), and interpolated MS is added to the
output.

The paper's 897 k (RGB, x4) leaves out 32,400 entries of the relative position tables.
Ours at 4 bands has these, 9,180 more in the first convolution and 8,656 more in the last.
"""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fusiontrain.errors import ShapeError
from fusiontrain.models.layers.window_attention import relative_positions, window_attention
from fusiontrain.models.published.base import FULL_SCALE, NetworkInputs, PublishedNetwork, conv

_RATIO = 4
_WINDOW = 8  # MS pixels a side


class SwinIR(PublishedNetwork):
    only_ratio: ClassVar[int | None] = _RATIO
    multiple_of: ClassVar[int] = _RATIO * _WINDOW

    def __init__(
        self,
        *,
        bands: int,
        width: int = 60,
        heads: int = 6,
        groups: int = 4,
        layers: int = 6,
        full_scale: int = FULL_SCALE,
    ) -> None:
        super().__init__(bands=bands, full_scale=full_scale)
        if width % heads:
            raise ShapeError(f"width must be a multiple of heads={heads}; got {width}")
        self.stem = conv(bands + _RATIO**2, width)
        self.norm_first = nn.LayerNorm(width)
        self.groups = nn.ModuleList(Group(width, heads, layers) for _ in range(groups))
        self.norm_last = nn.LayerNorm(width)
        self.last = conv(width, width)
        self.head = conv(width, bands * _RATIO**2)

    def fuse(self, inputs: NetworkInputs) -> Tensor:
        shallow = self.stem(torch.cat([inputs.ms, F.pixel_unshuffle(inputs.pan, _RATIO)], 1))
        x = self.norm_first(shallow.permute(0, 2, 3, 1))
        for group in self.groups:
            x = group(x)
        deep = shallow + self.last(self.norm_last(x).permute(0, 3, 1, 2))
        return inputs.up + F.pixel_shuffle(self.head(deep), _RATIO)


class Group(nn.Module):
    """Layers and a convolution, around a skip. Tokens stay (B, H, W, C)."""

    def __init__(self, width: int, heads: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(width, heads, shifted=i % 2 == 1) for i in range(layers))
        self.mix = conv(width, width)

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for layer in self.layers:
            y = layer(y)
        return x + self.mix(y.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class Layer(nn.Module):
    def __init__(self, width: int, heads: int, *, shifted: bool) -> None:
        super().__init__()
        self.heads, self.shifted = heads, shifted
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.table = nn.Parameter(0.02 * torch.randn((2 * _WINDOW - 1) ** 2, heads))
        self.out = nn.Linear(width, width)
        self.second = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm(x)).chunk(3, -1)
        bias = self.table[relative_positions(_WINDOW).to(x.device)].permute(2, 0, 1)
        attended = window_attention(q, k, v, bias, heads=self.heads, shifted=self.shifted)
        x = x + self.out(attended)
        return x + self.second(x)
