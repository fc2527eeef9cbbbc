"""FusionMamba-like: two U-shaped streams of four-direction scans with cross-scans at every level.

Source: Peng, Zhu, Deng, Lei and Deng 2024, arXiv:2404.07932 (first version, pansharpening):
32, 64 and 128 features over three levels, 8 states, four directions, no expansion. At each of
five stages both streams scan alone; then each scans once more with the other as context, and
a linear map of the mean joins the MS's stream. The MS is enlarged by a learned pixel
shuffle (ratio 4 only), and the network predicts the residual. Both streams share the layers
between levels. Through the scans every output pixel depends on every input pixel.

The parameter count of this form is not published.
"""

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from fusiontrain.models.layers.mamba import Mamba
from fusiontrain.models.published.base import FULL_SCALE, NetworkInputs, PublishedNetwork, conv

_RATIO = 4
_STATES, _EXPAND, _DIRECTIONS = 8, 1, 4


class FusionMamba(PublishedNetwork):
    only_ratio: ClassVar[int | None] = _RATIO
    multiple_of: ClassVar[int] = 4  # two halvings

    def __init__(self, *, bands: int, width: int = 32, full_scale: int = FULL_SCALE) -> None:
        super().__init__(bands=bands, full_scale=full_scale)
        self.enlarge = conv(bands, bands * _RATIO**2, bias=False)
        self.stems = nn.ModuleList(conv(inputs, width) for inputs in (1, bands))
        widths = (width, 2 * width, 4 * width)
        self.down_stages = nn.ModuleList(Stage(w) for w in widths[:2])
        self.downs = nn.ModuleList(nn.Conv2d(w, 2 * w, 2, stride=2) for w in widths[:2])
        self.up_stages = nn.ModuleList(Stage(w) for w in widths[:0:-1])
        self.ups = nn.ModuleList(Up(w) for w in widths[:0:-1])
        self.last_stage = Stage(width)
        self.head = nn.Sequential(conv(width, width), nn.LeakyReLU(), conv(width, bands))

    def fuse(self, inputs: NetworkInputs) -> Tensor:
        enlarged = F.pixel_shuffle(self.enlarge(inputs.ms), _RATIO)
        pan, ms = (
            F.leaky_relu(stem(x))
            for stem, x in zip(self.stems, (inputs.pan, enlarged), strict=True)
        )
        skips = []
        for stage, down in zip(self.down_stages, self.downs, strict=True):
            pan, ms = stage(pan, ms)
            skips.append((pan, ms))
            pan, ms = F.leaky_relu(down(pan)), F.leaky_relu(down(ms))
        for stage, up in zip(self.up_stages, self.ups, strict=True):
            pan, ms = stage(pan, ms)
            pan_skip, ms_skip = skips.pop()
            pan, ms = up(pan, pan_skip), up(ms, ms_skip)
        return enlarged + self.head(self.last_stage(pan, ms)[1])


class Stage(nn.Module):
    """Both streams alone, then each with the other as context."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.alone = nn.ModuleList(Block(width) for _ in range(2))
        self.crossed = nn.ModuleList(Block(width, context=True) for _ in range(2))
        self.join = nn.Linear(width, width)

    def forward(self, pan: Tensor, ms: Tensor) -> tuple[Tensor, Tensor]:
        shape = (pan.shape[-2], pan.shape[-1])
        tokens = [x.flatten(2).transpose(1, 2) for x in (pan, ms)]
        spatial, spectral = (block(x, shape) for block, x in zip(self.alone, tokens, strict=True))
        first = self.crossed[0](spatial, shape, spectral)
        second = self.crossed[1](spectral, shape, spatial)
        joined = spectral + self.join((first + second) / 2)
        pan, ms = (x.transpose(1, 2).reshape(pan.shape) for x in (spatial, joined))
        return pan, ms


class Block(nn.Module):
    """A normalised four-direction Mamba around a skip."""

    def __init__(self, width: int, *, context: bool = False) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.norm_context = nn.LayerNorm(width) if context else None
        self.scan = Mamba(
            width,
            states=_STATES,
            expand=_EXPAND,
            directions=_DIRECTIONS,
            context=context,
            norm=True,
        )

    def forward(self, x: Tensor, shape: tuple[int, int], context: Tensor | None = None) -> Tensor:
        if self.norm_context is not None and context is not None:
            context = self.norm_context(context)
        return x + self.scan(self.norm(x), shape, context)


class Up(nn.Module):
    """Twice the size, half the features, and the level's own features added."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.enlarge = nn.ConvTranspose2d(width, width // 2, 2, stride=2)
        self.mix = conv(width // 2, width // 2)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return F.leaky_relu(self.mix(F.leaky_relu(self.enlarge(x)) + skip))
