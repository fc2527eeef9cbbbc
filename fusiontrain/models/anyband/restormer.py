"""Restormer for any bands: attention between the bands of a pixel, gated feed-forward layers.

After Zamir, Arora, Khan, Hayat, Khan and Yang 2022 (CVPR, 5728-5739,
doi:10.1109/CVPR52688.2022.00564). The paper's transposed attention is between features, over
the whole image; here it is between bands, at each pixel. The tokens are the bands, in no order,
so that any set of bands has the same weights and a window is fused like the whole scene. Queries,
keys and values come from a 1 x 1 and a depthwise 3 x 3 convolution, and the feed-forward layers
are gated, both as in the paper.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from fusiontrain.models.anyband.base import AnyBandBase, Film, last_layer
from fusiontrain.models.anyband.inputs import AnyBandInputs
from fusiontrain.models.anyband.panformer import PixelNorm
from fusiontrain.models.layers.replicate_conv import ReplicateConv2d

_EXPAND = 2  # of the feed-forward half


class AnyBandRestormer(AnyBandBase):
    def __init__(self, *, width: int = 40, heads: int = 2, blocks: int = 4) -> None:
        super().__init__(width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(blocks))
        self.head = last_layer(width)

    def body(self, x: Tensor, conditions: Tensor, inputs: AnyBandInputs) -> Tensor:
        for block in self.blocks:
            x = block(x, conditions, inputs.bands)
        return x


class Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(PixelNorm(width) for _ in range(2))
        self.attention = BandAttention(width, heads)
        self.film = Film(width)
        self.gated = Gated(width)

    def forward(self, x: Tensor, conditions: Tensor, bands: int) -> Tensor:
        x = x + self.attention(self.film(self.norms[0](x), conditions), bands)
        return x + self.gated(self.norms[1](x))


class BandAttention(nn.Module):
    """Attention whose tokens are the bands of one pixel."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Sequential(
            nn.Conv2d(width, 3 * width, 1), ReplicateConv2d(3 * width, 3 * width, groups=3 * width)
        )
        self.out = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor, bands: int) -> Tensor:
        S, width, H, W = x.shape
        qkv = self.qkv(x).reshape(S // bands, bands, 3, self.heads, -1, H * W)
        q, k, v = qkv.permute(2, 0, 5, 3, 1, 4)  # (B, H * W, heads, bands, features)
        scores = q @ k.transpose(-1, -2) * (width / self.heads) ** -0.5
        attended = scores.softmax(-1) @ v
        return self.out(attended.permute(0, 3, 2, 4, 1).reshape(S, width, H, W))


class Gated(nn.Module):
    """Gated feed-forward layer: one half of the features multiplies the other."""

    def __init__(self, width: int) -> None:
        super().__init__()
        wide = 2 * _EXPAND * width
        self.enter = nn.Sequential(
            nn.Conv2d(width, wide, 1), ReplicateConv2d(wide, wide, groups=wide)
        )
        self.leave = nn.Conv2d(wide // 2, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.enter(x).chunk(2, 1)
        gated: Tensor = self.leave(F.gelu(gate) * value)
        return gated
