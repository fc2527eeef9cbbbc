"""FusionNet: a residual network on the difference of PAN and each interpolated band.

Source: Deng, Vivone, Jin and Chanussot 2021, IEEE TGRS 59(8):6995-7010. The difference stands
for the detail that injection methods compute; four residual blocks of 32 features turn it
into what is added to the interpolated MS. Any ratio.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from fusiontrain.models.published.base import FULL_SCALE, Published, Residual, Seen, conv


class FusionNet(Published):
    def __init__(
        self, *, bands: int, width: int = 32, blocks: int = 4, full_scale: int = FULL_SCALE
    ) -> None:
        super().__init__(bands=bands, full_scale=full_scale)
        self.stem = conv(bands, width)
        self.blocks = nn.Sequential(*(Residual(width) for _ in range(blocks)))
        self.head = conv(width, bands)

    def fuse(self, seen: Seen) -> Tensor:
        detail = seen.pan - seen.up
        return seen.up + self.head(self.blocks(F.relu(self.stem(detail))))
