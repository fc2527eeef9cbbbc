"""PanNet: a residual network on high-pass filtered PAN and MS.

Source: Yang, Fu, Hu, Huang, Ding and Paisley 2017, ICCV, 1753-1761. The low-pass is the
mean of 5 x 5 pixels. The high-pass MS is enlarged by a learned transposed convolution (kernel 8,
stride 4: ratio 4 only), and four residual blocks of 32 features predict the residual of the
interpolated MS.
"""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fusiontrain.models.published.base import (
    FULL_SCALE,
    NetworkInputs,
    PublishedNetwork,
    Residual,
    conv,
)

_MEAN_SIDE = 5


class PanNet(PublishedNetwork):
    only_ratio: ClassVar[int | None] = 4

    def __init__(
        self, *, bands: int, width: int = 32, blocks: int = 4, full_scale: int = FULL_SCALE
    ) -> None:
        super().__init__(bands=bands, full_scale=full_scale)
        self.enlarge = nn.ConvTranspose2d(bands, bands, 8, stride=4, padding=2)
        self.stem = conv(bands + 1, width)
        self.blocks = nn.Sequential(*(Residual(width) for _ in range(blocks)))
        self.head = conv(width, bands)

    def fuse(self, inputs: NetworkInputs) -> Tensor:
        x = torch.cat([self.enlarge(_high(inputs.ms)), _high(inputs.pan)], 1)
        return inputs.up + self.head(self.blocks(F.relu(self.stem(x))))


def _high(image: Tensor) -> Tensor:
    # Padding is not counted: the mean of a constant image is constant up to its border.
    low = F.avg_pool2d(image, _MEAN_SIDE, 1, _MEAN_SIDE // 2, count_include_pad=False)
    return image - low
