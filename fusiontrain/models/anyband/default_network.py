"""AnyBand, the default network: convolutional.

Models `anyband`, `anyband-small`, and with a last step `anyband-scene`, `anyband-sensor`.

Each band is predicted by shared weights from its interpolated MS and the PAN detail at its own
MTF. Features averaged over the bands are added in every block, so that permuted bands give a
permuted output. The network corrects the blur-matched MTF-GLP-FS injection (base.py). All
convolutions run on a grid four times coarser than the PAN's (pixel-unshuffle, pixel-shuffle).
The MS's MTF gain, the output's softness and the injection gain condition each band.

This network is panprior's own; no paper describes it.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fusiontrain.imaging import dark_texture
from fusiontrain.imaging.colour_damping import REACH, bound_colours, damp_colours, damped
from fusiontrain.imaging.dark_texture import keep_dark_texture
from fusiontrain.imaging.full_precision import full_precision
from fusiontrain.imaging.injection import scene_part
from fusiontrain.imaging.ms_consistency import COLOURS, cut_around, step_of_part, step_to_ms
from fusiontrain.imaging.pan_batch import PanBatch
from fusiontrain.models.anyband.base import (
    CONDITION_WIDTH,
    AnyBandBase,
    add_to_bands,
    last_layer,
    over_bands,
)
from fusiontrain.models.anyband.input_rows import cells_around
from fusiontrain.models.anyband.inputs import AnyBandInputs
from fusiontrain.models.anyband.row_wise import computes_by_rows, fuse_by_rows
from fusiontrain.models.layers.replicate_conv import ReplicateConv2d


class AnyBand(AnyBandBase):
    """forward(PanBatch) -> (B, C, H, W) DN, for any number of bands, size and ratio."""

    head: ReplicateConv2d
    bytes_per_pixel = 60

    def __init__(self, *, width: int = 32, blocks: int = 4) -> None:
        super().__init__(width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(blocks))
        self.head = last_layer(width)

    def forward(self, batch: PanBatch) -> Tensor:
        if not computes_by_rows(batch):
            return super().forward(batch)
        H, W = batch.pan.shape[-2:]
        return AnyBand.forward_part(self, batch, slice(0, H), slice(0, W))  # no subclass's step

    def forward_part(self, batch: PanBatch, rows: slice, columns: slice) -> Tensor:
        """`forward(batch)[..., rows, columns]`, without what lies beyond the layers' reach."""
        if not computes_by_rows(batch):
            return AnyBand.forward(self, batch)[..., rows, columns]  # no subclass's step
        cells, within = cells_around(
            rows, columns, batch.pan.shape[-2:], reach=2 * len(self.blocks) + 1
        )
        return fuse_by_rows(self, batch, cells)[..., within[0], within[1]]

    def body(self, x: Tensor, conditions: Tensor, inputs: AnyBandInputs) -> Tensor:
        C = inputs.batch.ms.shape[1]
        for block in self.blocks:
            x = block(x, conditions, C)
        return x


class AnyBandSensor(AnyBand):
    """AnyBand for the target `sensor`: it ends with a step towards consistency with the MS.

    What Wald's protocol takes for the truth gives the MS back but for its finest detail.
    """

    smoothing = 0.0
    bytes_per_pixel = 70  # features of 48 channels

    def forward(self, batch: PanBatch) -> Tensor:
        return step_to_ms(super().forward(batch), batch, smoothing=self.smoothing)

    def forward_part(self, batch: PanBatch, rows: slice, columns: slice) -> Tensor:
        """`forward(batch)[..., rows, columns]`, without what lies beyond the step's reach."""
        fuse_part = super().forward_part
        return step_of_part(fuse_part, batch, rows, columns, smoothing=self.smoothing)


class AnyBandScene(AnyBandSensor):
    """For the target `scene`: dark ground has PAN's texture, and colours are the MS's.

    A network trained on what MS sensors do wrong takes faint colours for their noise; a smoothed
    step brings colours back, and hardly noise and rings. What the step spreads over an edge into a
    shadow is bounded last. While training, texture is not added and colours of a sharp MS are free:
    the loss is of what the network itself gives.
    """

    smoothing = COLOURS
    bytes_per_pixel = 80  # 47 of a very soft MS; windows that are read ahead and written

    def forward(self, batch: PanBatch) -> Tensor:
        H, W = batch.pan.shape[-2:]
        return self._finished(super().forward(batch), batch, slice(0, H), slice(0, W))

    def forward_part(self, batch: PanBatch, rows: slice, columns: slice) -> Tensor:
        """`forward(batch)[..., rows, columns]`, without what lies beyond the reach of all steps."""
        _, fine, inner = cut_around(batch, rows, columns, reach=dark_texture.REACH)
        fused = self._finished(super().forward_part(batch, *fine), batch, *fine)
        return fused[..., inner[0], inner[1]]

    def _finished(self, fused: Tensor, batch: PanBatch, rows: slice, columns: slice) -> Tensor:
        """A part of what the step gives, (B, C, rows, columns) DN, its colours and texture set."""
        textured = not (self.training or batch.pan_per_band or batch.ms.shape[1] == 1)
        if not (textured or damped(batch)):
            return fused
        batch, _, inner = cut_around(batch, rows, columns, reach=REACH)
        with full_precision(fused.device):
            around = scene_part(batch)
        part = around.crop(*inner)
        if damped(batch):
            fused = damp_colours(fused, part, batch.mtf)
        if textured:
            fused = keep_dark_texture(fused, part)
        return bound_colours(fused, around, batch.mtf, *inner)


class Block(nn.Module):
    """Two convolutions per band around a skip, FiLM, and the mean over all bands."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = ReplicateConv2d(width, width), ReplicateConv2d(width, width)
        self.shared = nn.Conv2d(width, width, 1)
        self.film = nn.Linear(CONDITION_WIDTH, 2 * width)

    def forward(self, x: Tensor, conditions: Tensor, C: int) -> Tensor:
        scale, shift = self.film(conditions)[..., None, None].chunk(2, dim=1)
        y = F.gelu(self.first(x))
        y = add_to_bands(y, self.shared(over_bands(y, C)), C)
        return self.second(torch.addcmul(shift, y, 1 + scale)).add_(x)
