"""What every index does to its two images first."""

import torch
from torch import Tensor

from fusiontrain.errors import ShapeError


def as_pair(gt: Tensor, fused: Tensor) -> tuple[Tensor, Tensor]:
    """Both as (N, C, H, W) float64. ShapeError unless they agree."""
    if gt.shape != fused.shape or gt.ndim not in (3, 4):
        raise ShapeError(
            "expected gt and fused of one shape, (C, H, W) or (N, C, H, W); "
            f"got {tuple(gt.shape)} and {tuple(fused.shape)}"
        )
    first, second = (x[None] if x.ndim == 3 else x for x in (gt, fused))
    return first.to(torch.float64), second.to(torch.float64)
