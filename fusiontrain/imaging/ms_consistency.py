"""One step towards consistency with the MS: a fused image keeps what the MS shows.

A fused image that is blurred by the MTF and decimated should give the MS back (Wald et al. 1997).
A full step towards that gives back all that the MS holds, its noise and rings too. The difference
smoothed over a few MS pixels has little of these, and all of a colour that was lost.
Source: back-projection, Irani and Peleg 1991, CVGIP 53(3):231-239.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from fusiontrain.imaging.filters import blur, degrade, upsample
from fusiontrain.imaging.full_precision import full_precision
from fusiontrain.imaging.pan_batch import PanBatch

COLOURS = 1.0  # MS pixels: smoothing that brings colours back, and hardly noise and rings
REACH = 32  # PAN pixels at ratio 4 that the step needs around a pixel


def step_to_ms(fused: Tensor, batch: PanBatch, *, smoothing: float) -> Tensor:
    """`fused` and the smoothed difference between the MS and what the MS would see of `fused`.

    `smoothing`: spread of the Gaussian over the difference, MS pixels; 0: none.
    Shapes: (B, C, H, W) DN -> the same.
    """
    with full_precision(fused.device):
        lost = batch.ms - degrade(fused.float(), batch.mtf, batch.ratio, batch.phase)
        if smoothing:
            lost = blur(lost, torch.full(lost.shape[:2], smoothing, dtype=lost.dtype))
        return fused + upsample(lost, batch.ratio, batch.phase)


def step_of_part(
    fuse_part: Callable[[PanBatch, slice, slice], Tensor],
    batch: PanBatch,
    rows: slice,
    columns: slice,
    *,
    smoothing: float,
) -> Tensor:
    """`step_to_ms` of the PAN pixels in rows and columns, fused no further than it reads.

    `fuse_part`: (batch, rows, columns) -> (B, C, rows, columns) DN, before the step.
    """
    around, fine, inner = cut_around(batch, rows, columns, reach=REACH)
    stepped = step_to_ms(fuse_part(batch, *fine), around, smoothing=smoothing)
    return stepped[..., inner[0], inner[1]]


def cut_around(
    batch: PanBatch, rows: slice, columns: slice, *, reach: int
) -> tuple[PanBatch, tuple[slice, slice], tuple[slice, slice]]:
    """The batch around a part, where that lies in the whole, and where the part lies in it.

    `rows`, `columns`: of the part, PAN pixels. `reach`: PAN pixels around it at ratio 4.
    """
    ratio = batch.ratio
    margin = math.ceil(reach * max(ratio, 4) / 4 / ratio)  # MS pixels
    coarse, fine, inner = [], [], []
    for part, side in zip((rows, columns), batch.ms.shape[-2:], strict=True):
        start = max(0, part.start // ratio - margin)
        stop = min(side, -(-part.stop // ratio) + margin)
        coarse.append(slice(start, stop))
        fine.append(slice(start * ratio, stop * ratio))
        inner.append(slice(part.start - start * ratio, part.stop - start * ratio))
    around = replace(
        batch,
        ms=batch.ms[..., coarse[0], coarse[1]],
        pan=batch.pan[..., fine[0], fine[1]],
    )
    return around, (fine[0], fine[1]), (inner[0], inner[1])
