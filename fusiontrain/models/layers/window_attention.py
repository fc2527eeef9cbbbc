"""Shifted-window attention (Swin): attention inside square windows. No parameters.

Source: Liu et al. 2021 (Swin), ICCV, 10012-10022. Every second layer shifts the
windows by half their side: the image is rolled, and a mask separates opposite borders.
Axes: B batch; H W tokens; C features.
"""

import torch
from torch import Tensor

MASKED = -1e4  # added to a score: its softmax is zero, also in bfloat16


def window_attention(
    q: Tensor, k: Tensor, v: Tensor, bias: Tensor, *, heads: int, shifted: bool
) -> Tensor:
    """q, k, v (B, H, W, C) -> (B, H, W, C); `bias` (heads or 1, side^2, side^2).

    The window's side follows from `bias`; H and W are multiples of it.
    """
    side = int(bias.shape[-1] ** 0.5)
    H, W = q.shape[1:3]
    shift = side // 2 if shifted else 0
    q, k, v = (_split(torch.roll(t, (-shift, -shift), (1, 2)), side, heads) for t in (q, k, v))
    scores = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5 + bias
    if shift:
        scores = scores + _shift_mask(H, W, side, shift, q.device)[:, None]
    return torch.roll(_join(scores.softmax(-1) @ v, H, W, side), (shift, shift), (1, 2))


def relative_positions(side: int) -> Tensor:
    """(side^2, side^2) indices of token pairs into a table of (2 side - 1)^2 relative positions."""
    axis = torch.arange(side)
    positions = torch.cartesian_prod(axis, axis)
    distance = positions[:, None] - positions[None] + side - 1
    return distance[..., 0] * (2 * side - 1) + distance[..., 1]


def _split(x: Tensor, side: int, heads: int) -> Tensor:
    """(B, H, W, C) -> (B, windows, heads, side^2, C / heads)."""
    B, H, W, C = x.shape
    x = x.reshape(B, H // side, side, W // side, side, heads, C // heads)
    return x.permute(0, 1, 3, 5, 2, 4, 6).reshape(B, -1, heads, side**2, C // heads)


def _join(x: Tensor, H: int, W: int, side: int) -> Tensor:
    B, _, heads, _, part = x.shape
    x = x.reshape(B, H // side, W // side, heads, side, side, part)
    return x.permute(0, 1, 4, 2, 5, 3, 6).reshape(B, H, W, heads * part)


def _shift_mask(H: int, W: int, side: int, shift: int, device: torch.device) -> Tensor:
    """(windows, side^2, side^2): MASKED for token pairs of a window from opposite borders."""
    rolled = [torch.arange(size, device=device) >= size - shift for size in (H, W)]
    region = 2 * rolled[0][:, None].long() + rolled[1][None].long()
    inside = _split(region[None, ..., None], side, 1)[0, :, 0, :, 0]
    return MASKED * (inside[:, :, None] != inside[:, None, :])
