"""PNN: three convolutions from PAN and interpolated MS to the fused image.

Source: Masi, Cozzolino, Verdoliva and Scarpa 2016, Remote Sensing 8(7):594. 64 and 32
features, kernels 9, 5, 5. The paper's convolutions eat eight pixels on each side; here the
image is continued by as many, so that the size stays. Its optional nonlinear radiometric
indices are not among the inputs. Any ratio.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fusiontrain.models.published.base import FULL_SCALE, Published, Seen

_EATEN = 8  # pixels a side, by kernels of 9, 5 and 5


class PNN(Published):
    def __init__(self, *, bands: int, full_scale: int = FULL_SCALE) -> None:
        super().__init__(bands=bands, full_scale=full_scale)
        self.first = nn.Conv2d(bands + 1, 64, 9)
        self.second = nn.Conv2d(64, 32, 5)
        self.head = nn.Conv2d(32, bands, 5)

    def fuse(self, seen: Seen) -> Tensor:
        x = F.pad(torch.cat([seen.up, seen.pan], 1), (_EATEN,) * 4, mode="replicate")
        return self.head(F.relu(self.second(F.relu(self.first(x)))))
