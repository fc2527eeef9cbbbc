"""Neighbourhood attention: each pixel attends to a dilated 3 x 3 neighbourhood. No parameters.

Source: Hassani, Walton, Li, Li and Shi 2023, CVPR, 6185-6194 (neighbourhood attention), and
Hassani and Shi 2022, arXiv:2209.15001 (dilated). Outside neighbours are replicated border
pixels. Unlike shifted windows (window_attention.py) it is translation invariant, so that a window
of a scene may start anywhere.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

NEIGHBOURS = 9


def neighbour_attention(
    q: Tensor, k: Tensor, v: Tensor, bias: Tensor, *, heads: int, dilation: int
) -> Tensor:
    """q, k, v (S, width, H, W), bias (heads, 9) -> (S, width, H, W)."""
    S, width, H, W = q.shape
    q = q.reshape(S, heads, -1, H, W) * (width / heads) ** -0.5
    k, v = (F.pad(t, (dilation,) * 4, mode="replicate") for t in (k, v))
    scores = torch.stack(
        [(q * _neighbour(k, i, dilation, H, W).reshape_as(q)).sum(2) for i in range(NEIGHBOURS)], 2
    )
    weights = (scores + bias[:, :, None, None]).softmax(2)
    output = torch.zeros_like(q)
    for i in range(NEIGHBOURS):
        output = output + weights[:, :, i, None] * _neighbour(v, i, dilation, H, W).reshape_as(q)
    return output.reshape(S, width, H, W)


def _neighbour(padded: Tensor, index: int, dilation: int, H: int, W: int) -> Tensor:
    """The padded image shifted to neighbour `index` of 0..8, rows first."""
    row, column = divmod(index, 3)
    top, left = row * dilation, column * dilation
    return padded[..., top : top + H, left : left + W]
