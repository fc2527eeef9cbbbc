"""MSDCNN: a deep branch with kernels of three sizes in parallel, and a shallow branch.

Source: Yuan, Wei, Meng, Shen and Zhang 2018, IEEE JSTARS 11(3):978-989. The sum of both
branches is the fused image. The reference toolbox's form ends in a ReLU; this one does not,
since a band whose initial output is negative would get no gradient. Any ratio.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fusiontrain.models.published.base import FULL_SCALE, NetworkInputs, PublishedNetwork, conv

_SIDES = (3, 5, 7)


class MSDCNN(PublishedNetwork):
    def __init__(self, *, bands: int, full_scale: int = FULL_SCALE) -> None:
        super().__init__(bands=bands, full_scale=full_scale)
        self.deep = nn.Sequential(
            conv(bands + 1, 60, 7),
            nn.ReLU(),
            ManyScales(60),
            conv(60, 30, 3),
            nn.ReLU(),
            ManyScales(30),
        )
        self.deep_head = conv(30, bands, 5)
        self.shallow = nn.Sequential(
            conv(bands + 1, 64, 9), nn.ReLU(), nn.Conv2d(64, 32, 1), nn.ReLU()
        )
        self.shallow_head = conv(32, bands, 5)

    def fuse(self, inputs: NetworkInputs) -> Tensor:
        x = torch.cat([inputs.up, inputs.pan], 1)
        return self.deep_head(self.deep(x)) + self.shallow_head(self.shallow(x))


class ManyScales(nn.Module):
    """A third of the features from each kernel, around a skip."""

    def __init__(self, width: int) -> None:
        super().__init__()
        share = width // len(_SIDES)
        self.scales = nn.ModuleList(conv(width, share, side) for side in _SIDES)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + torch.cat([scale(x) for scale in self.scales], 1))
