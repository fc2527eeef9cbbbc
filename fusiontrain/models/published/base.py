"""PublishedNetwork: the base class of published networks, for a fixed number of bands.

These networks are trained on DN divided by the sensor's full scale (2047 at 11 bits, 1023 at 10).
The scale is a size of the network, `full_scale`, stored in its checkpoint; batches and outputs
are in DN. Weights may be used for a sensor of another bit depth, whose images then fill another
part of the range.

MS is interpolated by filters.upsample (Lanczos, in the batch's phase); the papers used a
polynomial of 23 taps.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from fusiontrain.errors import ShapeError
from fusiontrain.imaging.filters import upsample
from fusiontrain.imaging.full_precision import full_precision
from fusiontrain.imaging.pan_batch import GridPhase, PanBatch

FULL_SCALE = 2047  # DN, 11 bits


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkInputs:
    """Inputs of a published network, divided by full scale. Axes as in pan_batch.py."""

    ms: Tensor  # (B, C, h, w)
    up: Tensor  # (B, C, H, W), interpolated
    pan: Tensor  # (B, 1, H, W)
    ratio: int
    phase: GridPhase


class PublishedNetwork(nn.Module):
    """forward(PanBatch) -> (B, C, H, W) DN, for `bands` bands; subclasses implement `fuse`.

    Raises: ShapeError for another number of bands or a ratio that the network does not support.
    """

    only_ratio: ClassVar[int | None] = None  # None: any ratio
    multiple_of: ClassVar[int] = 1  # PAN pixels; inputs are padded to it, the output cropped

    def __init__(self, *, bands: int, full_scale: int) -> None:
        super().__init__()
        self.bands, self.full_scale = bands, full_scale

    def forward(self, batch: PanBatch) -> Tensor:
        self._check(batch)
        H, W = batch.pan.shape[-2:]
        # Full precision: bfloat16 would round DN.
        with full_precision(batch.pan.device):
            inputs = self._make_inputs(batch)
        return self.fuse(inputs)[..., :H, :W].to(batch.ms.dtype) * self.full_scale

    def fuse(self, inputs: NetworkInputs) -> Tensor:
        """The paper's network: inputs over full scale -> (B, C, H, W) over full scale."""
        raise NotImplementedError

    def _make_inputs(self, batch: PanBatch) -> NetworkInputs:
        H, W = batch.pan.shape[-2:]
        down, right = -H % self.multiple_of, -W % self.multiple_of
        ms, pan = batch.ms / self.full_scale, batch.pan / self.full_scale
        if down or right:
            pan = F.pad(pan, (0, right, 0, down), mode="replicate")
            coarse = (0, right // batch.ratio, 0, down // batch.ratio)
            ms = F.pad(ms, coarse, mode="replicate")
        up = upsample(ms, batch.ratio, batch.phase)
        return NetworkInputs(ms=ms, up=up, pan=pan, ratio=batch.ratio, phase=batch.phase)

    def _check(self, batch: PanBatch) -> None:
        name, bands = type(self).__name__, batch.ms.shape[1]
        if bands != self.bands:
            raise ShapeError(
                f"this {name} was built for {self.bands} bands; got {bands}: "
                "use weights trained on as many, or an any-band model"
            )
        if batch.pan_per_band:
            raise ShapeError(f"{name} takes one PAN for all bands; got one a band")
        if self.only_ratio not in (None, batch.ratio):
            raise ShapeError(
                f"{name} is built for ratio {self.only_ratio}; got {batch.ratio}: "
                "use an any-band model"
            )


def conv(inputs: int, outputs: int, side: int = 3, *, bias: bool = True) -> nn.Conv2d:
    """Convolution with zero padding that keeps the size, as in the papers."""
    return nn.Conv2d(inputs, outputs, side, padding=side // 2, bias=bias)


class Residual(nn.Module):
    """x + conv(relu(conv(x))): the block of PanNet and FusionNet."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = conv(width, width), conv(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.relu(self.first(x)))
