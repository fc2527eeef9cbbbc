"""PanFormer-like: two streams of shifted-window attention, then cross-attention between them.

Source: Zhou, Liu and Wang 2022, ICME (arXiv:2203.02916), sizes of the authors' configuration:
64 features, 8 heads, windows of 4, two self-attention modules a stream (the PAN's each halve
it: ratio 4 only), three rounds of cross-attention, two pixel shuffles back. In a round the
queries come from the other stream and are, as published, not normalised. Each module is a pair of
layers, the second shifted; all heads share one table of relative position biases. As published
the output is the head's alone, without interpolated MS; its clamp to the range is not applied.

The authors' 1,530,264 parameters count 5,120 fixed entries of shift masks, which are no
parameters here: 1,525,144.
"""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fusiontrain.errors import ShapeError
from fusiontrain.models.layers.window_attention import relative_positions, window_attention
from fusiontrain.models.published.base import FULL_SCALE, NetworkInputs, PublishedNetwork, conv

_WINDOW = 4  # tokens a side


class PanFormer(PublishedNetwork):
    only_ratio: ClassVar[int | None] = 4
    multiple_of: ClassVar[int] = 4 * _WINDOW

    def __init__(
        self,
        *,
        bands: int,
        width: int = 64,
        heads: int = 8,
        rounds: int = 3,
        full_scale: int = FULL_SCALE,
    ) -> None:
        super().__init__(bands=bands, full_scale=full_scale)
        if width % heads:
            raise ShapeError(f"width must be a multiple of heads={heads}; got {width}")
        self.pan = nn.ModuleList(AttentionPair(i, width, heads, halved=True) for i in (1, width))
        self.ms = nn.ModuleList(AttentionPair(i, width, heads) for i in (bands, width))
        self.pan_rounds = nn.ModuleList(AttentionPair(width, width, heads) for _ in range(rounds))
        self.ms_rounds = nn.ModuleList(AttentionPair(width, width, heads) for _ in range(rounds))
        self.enlarge = nn.Sequential(
            conv(2 * width, 4 * width),
            nn.PixelShuffle(2),
            nn.ReLU(),
            conv(width, 4 * width),
            nn.PixelShuffle(2),
            nn.ReLU(),
        )
        self.head = nn.Sequential(conv(width, width), nn.ReLU(), conv(width, bands))

    def fuse(self, inputs: NetworkInputs) -> Tensor:
        pan, ms = inputs.pan, inputs.ms
        for module in self.pan:
            pan = module(pan)
        for module in self.ms:
            ms = module(ms)
        for of_pan, of_ms in zip(self.pan_rounds, self.ms_rounds, strict=True):
            pan, ms = of_pan(pan, ms), of_ms(ms, pan)
        return self.head(self.enlarge(torch.cat([pan, ms], 1)))


class AttentionPair(nn.Module):
    """Tokens of one pixel, or of 2 x 2, then a layer of windows and one of shifted windows."""

    def __init__(self, inputs: int, width: int, heads: int, *, halved: bool = False) -> None:
        super().__init__()
        self.side = 2 if halved else 1
        self.embed = nn.Linear(inputs * self.side**2, width)
        self.plain = Layer(width, heads, shifted=False)
        self.shifted = Layer(width, heads, shifted=True)

    def forward(self, image: Tensor, other: Tensor | None = None) -> Tensor:
        x = self._tokens(image)
        queries = None if other is None else self._tokens(other)
        return self.shifted(self.plain(x, queries), queries).permute(0, 3, 1, 2)

    def _tokens(self, image: Tensor) -> Tensor:
        return self.embed(F.pixel_unshuffle(image, self.side).permute(0, 2, 3, 1))


class Layer(nn.Module):
    def __init__(self, width: int, heads: int, *, shifted: bool) -> None:
        super().__init__()
        self.heads, self.shifted = heads, shifted
        self.norm = nn.LayerNorm(width)
        self.q = nn.Linear(width, width, bias=False)
        self.kv = nn.Linear(width, 2 * width, bias=False)
        self.table = nn.Parameter(torch.randn((2 * _WINDOW - 1) ** 2))
        self.out = nn.Linear(width, width)
        self.second = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor, queries: Tensor | None) -> Tensor:
        normed = self.norm(x)
        q = self.q(normed if queries is None else queries)
        k, v = self.kv(normed).chunk(2, -1)
        bias = self.table[relative_positions(_WINDOW).to(x.device)][None]
        attended = window_attention(q, k, v, bias, heads=self.heads, shifted=self.shifted)
        x = x + self.out(attended)
        return x + self.second(x)
