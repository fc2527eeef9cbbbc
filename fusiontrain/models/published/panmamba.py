"""Pan-Mamba-like: two streams of scans over rows, which swap features, then a cross-scan.

Source: He, Cao, Zhang, Yan, Wang, Li, Xie, Hong and Zhou 2025, Information Fusion 115:102779
(arXiv:2402.12192). 32 features: three convolutional blocks a stream whose first half of the
features is normalised by the image; eight Mamba blocks a stream; two in which the streams
swap half of their features; a shallow fusion; five blocks in which the PAN's stream is the
context of the MS's; and a head with channel attention, added to the MS enlarged to the
nearest pixel (any ratio). Through the image's means and the scans every output pixel depends
on every input pixel.

The paper does not say what the cross-modal block shares between its directions. Here it scans
both directions with separate weights and one projection of the context: 462 k parameters at 4 bands
against 480 k. Of the 18 k, 6 k are 1 x 1 layers that the authors build and never use.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fusiontrain.models.layers.mamba import Mamba
from fusiontrain.models.published.base import FULL_SCALE, NetworkInputs, PublishedNetwork, conv

_STATES, _EXPAND = 16, 2
_SLOPE = 0.2


class PanMamba(PublishedNetwork):
    def __init__(
        self,
        *,
        bands: int,
        width: int = 32,
        alone: int = 8,
        swaps: int = 2,
        crossings: int = 5,
        full_scale: int = FULL_SCALE,
    ) -> None:
        super().__init__(bands=bands, full_scale=full_scale)
        self.stems = nn.ModuleList(_stem(inputs, width) for inputs in (bands, 1))
        # Of two, the first is always the MS's and the second the PAN's.
        self.alone = nn.ModuleList(Pair(width, swapped=False) for _ in range(alone))
        self.swaps = nn.ModuleList(Pair(width, swapped=True) for _ in range(swaps))
        self.shallow = nn.ModuleList(conv(2 * width, width) for _ in range(2))
        self.embed = nn.ModuleList(nn.Conv2d(width, width, 1) for _ in range(2))
        self.crossings = nn.ModuleList(Crossing(width) for _ in range(crossings))
        self.refine = Refine(width)
        self.head = conv(width, bands)

    def fuse(self, inputs: NetworkInputs) -> Tensor:
        shape = (inputs.pan.shape[-2], inputs.pan.shape[-1])
        enlarged = F.interpolate(inputs.ms, size=shape, mode="nearest")
        ms, pan = (stem(x) for stem, x in zip(self.stems, (enlarged, inputs.pan), strict=True))
        streams = torch.stack([_tokens(e(x)) for e, x in zip(self.embed, (ms, pan), strict=True)])
        for pair in (*self.alone, *self.swaps):
            streams = pair(streams, shape)
        ms, pan = (_image(tokens, shape) for tokens in streams)
        ms = ms + self.shallow[0](torch.cat([ms, pan], 1))
        pan = pan + self.shallow[1](torch.cat([pan, ms], 1))
        tokens, context = (_tokens(x) for x in (ms, pan))
        for crossing in self.crossings:
            tokens = crossing(tokens, context, shape)
        return enlarged + self.head(self.refine(_image(tokens, shape)))


class HalfNormed(nn.Module):
    """Two convolutions around a skip; half of the features between them are instance-normalised."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = conv(width, width), conv(width, width)
        self.norm = nn.InstanceNorm2d(width // 2, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        y = F.leaky_relu(self.first(x), _SLOPE)
        half = self.norm.num_features
        y = torch.cat([self.norm(y[:, :half]), y[:, half:]], 1)
        return x + F.leaky_relu(self.second(y), _SLOPE)


class Pair(nn.Module):
    """A Mamba block for each stream; `swapped`: half of its features are the other stream's."""

    def __init__(self, width: int, *, swapped: bool) -> None:
        super().__init__()
        self.swapped = swapped
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.blocks = nn.ModuleList(Mamba(width, states=_STATES, expand=_EXPAND) for _ in range(2))

    def forward(self, streams: Tensor, shape: tuple[int, int]) -> Tensor:
        normed = torch.stack([norm(x) for norm, x in zip(self.norms, streams, strict=True)])
        if self.swapped:
            half = normed.shape[-1] // 2
            normed = torch.cat([normed.flip(0)[..., :half], normed[..., half:]], -1)
        updates = [block(x, shape) for block, x in zip(self.blocks, normed, strict=True)]
        return streams + torch.stack(updates)


class Crossing(nn.Module):
    """A Mamba block of the MS stream with PAN as context, then a depthwise convolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.norm_context = nn.LayerNorm(width), nn.LayerNorm(width)
        self.block = Mamba(width, states=_STATES, expand=_EXPAND, directions=2, context=True)
        self.near = nn.Conv2d(width, width, 3, padding=1, groups=width)

    def forward(self, x: Tensor, context: Tensor, shape: tuple[int, int]) -> Tensor:
        update = _image(self.block(self.norm(x), shape, self.norm_context(context)), shape)
        return x + _tokens(update + self.near(update))


class Refine(nn.Module):
    """A convolution, then two more with channel attention."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = conv(width, width)
        self.process = nn.Sequential(conv(width, width), nn.ReLU(), conv(width, width))
        self.weigh = nn.Sequential(
            nn.Conv2d(width, width // 4, 1), nn.ReLU(), nn.Conv2d(width // 4, width, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        y = self.process(x)
        return x + y * torch.sigmoid(self.weigh(y.mean((-2, -1), keepdim=True)))


def _stem(inputs: int, width: int) -> nn.Sequential:
    return nn.Sequential(conv(inputs, width), *(HalfNormed(width) for _ in range(3)))


def _tokens(image: Tensor) -> Tensor:
    return image.flatten(2).transpose(1, 2)


def _image(tokens: Tensor, shape: tuple[int, int]) -> Tensor:
    return tokens.transpose(1, 2).reshape(tokens.shape[0], -1, *shape)
