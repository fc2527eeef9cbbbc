"""Attention inside square windows, every second time shifted by half of one. No parameters.

Source: Liu et al. 2021 (Swin), ICCV, 10012-10022. A shifted image is rolled around; where
that brings opposite borders together, a mask keeps them apart. Axes: B batch; H W tokens; C.
"""

import torch
from torch import Tensor

APART = -1e4  # added to a score; even bfloat16 then gives zero


def window_attention(
    q: Tensor, k: Tensor, v: Tensor, bias: Tensor, *, heads: int, shifted: bool
) -> Tensor:
    """(B, H, W, C) three times -> the same; `bias` (heads or 1, side^2, side^2) by place.

    H and W are multiples of the window's side.
    """
    side = int(bias.shape[-1] ** 0.5)
    H, W = q.shape[1:3]
    shift = side // 2 if shifted else 0
    q, k, v = (_split(torch.roll(t, (-shift, -shift), (1, 2)), side, heads) for t in (q, k, v))
    scores = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5 + bias
    if shift:
        scores = scores + _strangers(H, W, side, shift, q.device)[:, None]
    return torch.roll(_join(scores.softmax(-1) @ v, H, W, side), (shift, shift), (1, 2))


def relative_places(side: int) -> Tensor:
    """(side^2, side^2): where a pair of tokens stands in a table of (2 side - 1)^2 distances."""
    axis = torch.arange(side)
    places = torch.cartesian_prod(axis, axis)
    apart = places[:, None] - places[None] + side - 1
    return apart[..., 0] * (2 * side - 1) + apart[..., 1]


def _split(x: Tensor, side: int, heads: int) -> Tensor:
    """(B, H, W, C) -> (B, windows, heads, side^2, C / heads)."""
    B, H, W, C = x.shape
    x = x.reshape(B, H // side, side, W // side, side, heads, C // heads)
    return x.permute(0, 1, 3, 5, 2, 4, 6).reshape(B, -1, heads, side**2, C // heads)


def _join(x: Tensor, H: int, W: int, side: int) -> Tensor:
    B, _, heads, _, part = x.shape
    x = x.reshape(B, H // side, W // side, heads, side, side, part)
    return x.permute(0, 1, 4, 2, 5, 3, 6).reshape(B, H, W, heads * part)


def _strangers(H: int, W: int, side: int, shift: int, device: torch.device) -> Tensor:
    """(windows, side^2, side^2): APART where two tokens of a window come from opposite borders."""
    rolled = [torch.arange(size, device=device) >= size - shift for size in (H, W)]
    region = 2 * rolled[0][:, None].long() + rolled[1][None].long()
    inside = _split(region[None, ..., None], side, 1)[0, :, 0, :, 0]
    return APART * (inside[:, :, None] != inside[:, None, :])
