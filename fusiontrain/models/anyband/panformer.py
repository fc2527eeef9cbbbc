"""PanFormer for any bands: cross-attention between the bands' streams and the PAN stream.

After Zhou, Liu and Wang 2022 (ICME, doi:10.48550/arXiv.2203.02916). One stream for the PAN
and one per band: self-attention, then rounds of cross-attention, in which bands query the PAN and
the PAN queries the mean of the bands, so that bands stay a set. The paper's window attention is
replaced by neighbourhood attention, dilation 1 and 2 in turns, which does not depend on where the
windows of a scene start.
"""

import torch
from torch import Tensor, nn

from fusiontrain.models.anyband.base import AnyBandBase, Film, last_layer, over_bands, to_bands
from fusiontrain.models.anyband.inputs import AnyBandInputs
from fusiontrain.models.layers.neighbour_attention import NEIGHBOURS, neighbour_attention
from fusiontrain.models.layers.polyphase import SHUFFLE


class AnyBandPanFormer(AnyBandBase):
    def __init__(self, *, width: int = 40, heads: int = 4, rounds: int = 3) -> None:
        super().__init__(width)
        self.stem_pan = nn.Conv2d(SHUFFLE**2, width, 1)
        self.alone = nn.ModuleList(Layer(width, heads, dilation=1) for _ in range(2))
        self.film = Film(width)
        self.rounds = nn.ModuleList(Round(width, heads, dilation=1 + i % 2) for i in range(rounds))
        self.head = last_layer(width)

    def body(self, x: Tensor, conditions: Tensor, inputs: AnyBandInputs) -> Tensor:
        pan = self.stem_pan(inputs.pan)
        x, pan = self.alone[0](x, x), self.alone[1](pan, pan)
        x = self.film(x, conditions)
        for crossed in self.rounds:
            x, pan = crossed(x, pan, conditions, inputs.bands)
        return x


class Round(nn.Module):
    """Cross-attention of the bands to the PAN, then of the PAN to the bands' mean."""

    def __init__(self, width: int, heads: int, *, dilation: int) -> None:
        super().__init__()
        self.of_bands, self.of_pan = (Layer(width, heads, dilation=dilation) for _ in range(2))
        self.join = nn.Conv2d(width, width, 1)
        self.film = Film(width)

    def forward(
        self, x: Tensor, pan: Tensor, conditions: Tensor, bands: int
    ) -> tuple[Tensor, Tensor]:
        x = self.film(self.of_bands(x, to_bands(pan, bands)), conditions)
        pan = self.of_pan(pan, over_bands(x, bands))
        return x + to_bands(self.join(pan), bands), pan


class Layer(nn.Module):
    """Attention to the neighbours in `context`, then an MLP; each around a skip."""

    def __init__(self, width: int, heads: int, *, dilation: int) -> None:
        super().__init__()
        self.heads, self.dilation = heads, dilation
        self.norm, self.norm_told = PixelNorm(width), PixelNorm(width)
        self.q = nn.Conv2d(width, width, 1, bias=False)
        self.kv = nn.Conv2d(width, 2 * width, 1, bias=False)
        self.table = nn.Parameter(torch.zeros(heads, NEIGHBOURS))
        self.out = nn.Conv2d(width, width, 1)
        self.second = nn.Sequential(
            PixelNorm(width),
            nn.Conv2d(width, 2 * width, 1),
            nn.GELU(),
            nn.Conv2d(2 * width, width, 1),
        )

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        q = self.q(self.norm(x))
        k, v = self.kv(self.norm_told(context)).chunk(2, 1)
        attended = neighbour_attention(
            q, k, v, self.table, heads=self.heads, dilation=self.dilation
        )
        x = x + self.out(attended)
        return x + self.second(x)


class PixelNorm(nn.LayerNorm):
    """LayerNorm over the features of a pixel of (S, width, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
