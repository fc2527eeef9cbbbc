"""Attention of every pixel to its nine neighbours, near or far. No parameters, no windows' grid.

Source: Hassani, Walton, Li, Li and Shi 2023, CVPR, 6185-6194 (neighbourhood attention), and
Hassani and Shi 2022, arXiv:2209.15001 (dilated). At the border neighbours outside are the
border's own pixels again. Windows that shift (windows.py) would tie tiles to their grid; a
neighbourhood moves with the pixel.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

NEIGHBOURS = 9


def neighbour_attention(
    q: Tensor, k: Tensor, v: Tensor, bias: Tensor, *, heads: int, apart: int
) -> Tensor:
    """(S, width, H, W) three times, bias (heads, 9) -> (S, width, H, W)."""
    S, width, H, W = q.shape
    q = q.reshape(S, heads, -1, H, W) * (width / heads) ** -0.5
    k, v = (_around(t, apart) for t in (k, v))
    scores = torch.stack(
        [(q * _moved(k, i, apart, H, W).reshape_as(q)).sum(2) for i in range(NEIGHBOURS)], 2
    )
    weights = (scores + bias[:, :, None, None]).softmax(2)
    seen = torch.zeros_like(q)
    for i in range(NEIGHBOURS):
        seen = seen + weights[:, :, i, None] * _moved(v, i, apart, H, W).reshape_as(q)
    return seen.reshape(S, width, H, W)


def _around(x: Tensor, apart: int) -> Tensor:
    return F.pad(x, (apart,) * 4, mode="replicate")


def _moved(padded: Tensor, place: int, apart: int, H: int, W: int) -> Tensor:
    row, column = divmod(place, 3)
    top, left = row * apart, column * apart
    return padded[..., top : top + H, left : left + W]
