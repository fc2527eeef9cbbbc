"""FusionNet: a residual network on the difference of PAN and each interpolated band.

Source: Deng, Vivone, Jin and Chanussot 2021, IEEE TGRS 59(8):6995-7010. The difference
replaces the detail of injection methods; from it four residual blocks of 32 features predict the
residual of the interpolated MS. Any ratio.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from fusiontrain.models.published.base import (
    FULL_SCALE,
    NetworkInputs,
    PublishedNetwork,
    Residual,
    conv,
)


class FusionNet(PublishedNetwork):
    def __init__(
        self, *, bands: int, width: int = 32, blocks: int = 4, full_scale: int = FULL_SCALE
    ) -> None:
        super().__init__(bands=bands, full_scale=full_scale)
        self.stem = conv(bands, width)
        self.blocks = nn.Sequential(*(Residual(width) for _ in range(blocks)))
        self.head = conv(width, bands)

    def fuse(self, inputs: NetworkInputs) -> Tensor:
        detail = inputs.pan - inputs.up
        return inputs.up + self.head(self.blocks(F.relu(self.stem(detail))))
