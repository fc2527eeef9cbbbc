"""PNN: three convolutions from PAN and interpolated MS to the fused image.

Source: Masi, Cozzolino, Verdoliva and Scarpa 2016, Remote Sensing 8(7):594. 64 and 32
features, kernels 9, 5, 5. The paper's convolutions crop eight pixels on each side; here
the image is replicate-padded by as many. The paper's optional radiometric indices are not among
the inputs. Any ratio.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fusiontrain.models.published.base import FULL_SCALE, NetworkInputs, PublishedNetwork

_CROPPED = 8  # pixels a side, by kernels of 9, 5 and 5


class PNN(PublishedNetwork):
    def __init__(self, *, bands: int, full_scale: int = FULL_SCALE) -> None:
        super().__init__(bands=bands, full_scale=full_scale)
        self.first = nn.Conv2d(bands + 1, 64, 9)
        self.second = nn.Conv2d(64, 32, 5)
        self.head = nn.Conv2d(32, bands, 5)

    def fuse(self, inputs: NetworkInputs) -> Tensor:
        x = F.pad(torch.cat([inputs.up, inputs.pan], 1), (_CROPPED,) * 4, mode="replicate")
        return self.head(F.relu(self.second(F.relu(self.first(x)))))
