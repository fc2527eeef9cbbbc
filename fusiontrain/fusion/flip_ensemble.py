"""A network's mean over the eight flips and transposes of its input.

What a network has learnt is not quite the same in every direction; the mean is. Source: the
self-ensemble of Lim et al. 2017, CVPR Workshops (EDSR), arXiv 1707.02921.
"""

from dataclasses import replace

import torch.nn.functional as F
from torch import Tensor, nn

from fusiontrain.errors import ShapeError
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
        """(B, C, H, W) DN. Raises: ShapeError in the toolbox's phase, which no flip keeps."""
        H, W = batch.pan.shape[-2:]
        return self.forward_part(batch, slice(0, H), slice(0, W))

    def forward_part(self, batch: PanBatch, rows: slice, columns: slice) -> Tensor:
        """`forward(batch)[..., rows, columns]`, as the network's own. Raises: as forward."""
        if batch.phase != "aligned":
            raise ShapeError(f"flips need the phase `aligned`; got {batch.phase!r}")
        batch = _whole_cells(batch)
        H, W = batch.pan.shape[-2:]
        total: Tensor | None = None
        for flip in range(FLIPS):
            part = (
                slice(H - rows.stop, H - rows.start) if flip & 1 else rows,
                slice(W - columns.stop, W - columns.start) if flip & 2 else columns,
            )
            other = replace(batch, ms=turned(batch.ms, flip), pan=turned(batch.pan, flip))
            fused = turned_back(self._run(other, *(part[::-1] if flip & 4 else part)), flip)
            total = fused.float() if total is None else total.add_(fused)
        assert total is not None
        return total / FLIPS

    def _run(self, batch: PanBatch, rows: slice, columns: slice) -> Tensor:
        if isinstance(self.net, AnyBandBase):
            return self.net.forward_part(batch, rows, columns)
        fused: Tensor = self.net(batch)[..., rows, columns]
        return fused


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


def _whole_cells(batch: PanBatch) -> PanBatch:
    """Edges repeated until a network's own grid begins at both ends.

    Else that grid would lie elsewhere in a flipped window, by how the scene is cut.
    """
    h, w = batch.ms.shape[-2:]
    step = grid_step(batch.ratio, MULTIPLE_OF)
    down, right = -h % step, -w % step
    if not down and not right:
        return batch
    fine = (0, right * batch.ratio, 0, down * batch.ratio)
    return replace(
        batch,
        ms=F.pad(batch.ms, (0, right, 0, down), mode="replicate"),
        pan=F.pad(batch.pan, fine, mode="replicate"),
    )
