"""A network's mean over the eight flips and transposes of its input.

What a network has learnt is not quite the same in every direction; the mean is. Source: the
self-ensemble of Lim et al. 2017, CVPR Workshops (EDSR), arXiv 1707.02921.
"""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fusiontrain.fusion.window_loop import MULTIPLE_OF
from fusiontrain.imaging.pan_batch import PanBatch
from fusiontrain.imaging.tiling import grid_step
from fusiontrain.models.anyband.base import AnyBandBase

FLIPS = 8


class FlipEnsemble(nn.Module):
    """A network run eight times and averaged: eight times the time, the memory of one run."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, batch: PanBatch) -> Tensor:
        """(B, C, H, W) DN."""
        H, W = batch.pan.shape[-2:]
        return self.forward_part(batch, slice(0, H), slice(0, W))

    def forward_part(self, batch: PanBatch, rows: slice, columns: slice) -> Tensor:
        """`forward(batch)[..., rows, columns]`, as the network's own."""
        lag = 1 if batch.phase == "toolbox" and batch.ratio % 2 == 0 else 0
        batch, before = _whole_cells(batch, ahead=lag > 0)
        rows, columns = (slice(s.start + before, s.stop + before) for s in (rows, columns))
        H, W = batch.pan.shape[-2:]
        total: Tensor | None = None
        for flip in range(FLIPS):
            part = (
                slice(H - rows.stop + lag, H - rows.start + lag) if flip & 1 else rows,
                slice(W - columns.stop + lag, W - columns.start + lag) if flip & 2 else columns,
            )
            pan = _delayed(batch.pan, flip) if lag else batch.pan
            other = replace(batch, ms=turned(batch.ms, flip), pan=turned(pan, flip))
            fused = turned_back(self._run(other, *(part[::-1] if flip & 4 else part)), flip)
            total = fused.float() if total is None else total.add_(fused)
        assert total is not None
        return total / FLIPS

    def _run(self, batch: PanBatch, rows: slice, columns: slice) -> Tensor:
        if not isinstance(self.net, AnyBandBase):
            fused: Tensor = self.net(batch)[..., rows, columns]
            return fused
        unit = batch.ratio * grid_step(batch.ratio, MULTIPLE_OF)
        wide = [slice(s.start // unit * unit, -(-s.stop // unit) * unit) for s in (rows, columns)]
        down, along = (
            slice(s.start - w.start, s.stop - w.start)
            for s, w in zip((rows, columns), wide, strict=True)
        )
        return self.net.forward_part(batch, *wide)[..., down, along]


def _delayed(pan: Tensor, flip: int) -> Tensor:
    """PAN (..., H, W) that, once flipped, has the toolbox's phase again, for an even ratio.

    There MS pixel i lies at PAN pixel ratio * i + ratio / 2; a flip would put it one before that.
    Along an axis that is flipped PAN is taken one pixel back; its first row or column is lost.
    """
    for bit, axis in ((1, -2), (2, -1)):
        if flip & bit:
            size = pan.shape[axis]
            last = pan.narrow(axis, size - 1, 1)
            pan = torch.cat([pan.narrow(axis, 1, size - 1), last], axis)
    return pan


def turned(image: Tensor, flip: int) -> Tensor:
    """(..., H, W) under flip 0..7: bit 0 rows, bit 1 columns, bit 2 transposed after that."""
    axes = [axis for bit, axis in ((1, -2), (2, -1)) if flip & bit]
    image = image.flip(axes) if axes else image
    return image.mT.contiguous() if flip & 4 else image


def turned_back(image: Tensor, flip: int) -> Tensor:
    """The inverse of `turned`."""
    image = image.mT if flip & 4 else image
    axes = [axis for bit, axis in ((1, -2), (2, -1)) if flip & bit]
    return image.flip(axes) if axes else image.contiguous()


def _whole_cells(batch: PanBatch, *, ahead: bool) -> tuple[PanBatch, int]:
    """Edges repeated until a network's own grid begins at both ends.

    Else that grid would lie elsewhere in a flipped window, by how the scene is cut. `ahead`: one
    cell of that grid is repeated before the first row and column, too; and PAN pixels before them.
    """
    h, w = batch.ms.shape[-2:]
    step = grid_step(batch.ratio, MULTIPLE_OF)
    down, right, before = -h % step, -w % step, step if ahead else 0
    if not down and not right and not before:
        return batch, 0
    cells = (before, right, before, down)
    fine = tuple(side * batch.ratio for side in cells)
    framed = replace(
        batch,
        ms=F.pad(batch.ms, cells, mode="replicate"),
        pan=F.pad(batch.pan, fine, mode="replicate"),
    )
    return framed, before * batch.ratio
