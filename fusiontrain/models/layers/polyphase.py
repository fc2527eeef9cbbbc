"""Images as planes of a coarser grid, and what makes them there without a detour.

A plane holds every SHUFFLE-th pixel of every SHUFFLE-th row: (N, C, H, W) is (N, C * SHUFFLE^2,
H / SHUFFLE, W / SHUFFLE), ordered as by pixel_unshuffle. What works on each pixel for itself works
on planes as they lie; where MS pixels are as large as the grid's, interpolation gives one plane a
position. Axes as in pan_batch.py; SHUFFLE^2 is the axis P, and h' and w' are the planes'.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from fusiontrain.imaging.filters import (
    LOBES,
    blur,
    gaussian_taps,
    interpolation_taps,
    mirror,
    upsample,
)
from fusiontrain.imaging.pan_batch import GridPhase

SHUFFLE = 4  # PAN pixels per feature pixel, a side


def to_polyphase(image: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C, P, h', w'); sizes that are no multiple are continued."""
    B, C = image.shape[:2]
    planes = F.pixel_unshuffle(pad_replicate(image), SHUFFLE)
    return planes.reshape(B, C, SHUFFLE**2, *planes.shape[2:])


def from_polyphase(planes: Tensor, H: int, W: int) -> Tensor:
    """(B, C, P, h', w') -> (B, C, H, W), without what was continued."""
    return F.pixel_shuffle(planes.flatten(1, 2), SHUFFLE)[..., :H, :W]


def pad_replicate(image: Tensor) -> Tensor:
    """(B, C, H, W), its last rows and columns repeated up to a multiple of SHUFFLE."""
    H, W = image.shape[-2:]
    down, right = -H % SHUFFLE, -W % SHUFFLE
    if not down and not right:  # padding by nothing would copy all
        return image
    return F.pad(image, (0, right, 0, down), mode="replicate")


def polyphase_mask(image: Tensor) -> Tensor | None:
    """(1, 1, P, h', w'): 1 where planes hold the image's pixels, 0 where it was continued.

    None where all are pixels.
    """
    H, W = image.shape[-2:]
    down, right = -H % SHUFFLE, -W % SHUFFLE
    if not down and not right:
        return None
    return to_polyphase(F.pad(image.new_ones(1, 1, H, W), (0, right, 0, down)))


def upsampled(image: Tensor, ratio: int, phase: GridPhase) -> Tensor:
    """filters.upsample: (B, C, h, w) -> (B, C, P, h', w')."""
    if ratio != SHUFFLE:
        return to_polyphase(upsample(image, ratio, phase))
    B, C, h, w = image.shape
    taps = interpolation_taps(ratio, phase).to(image)
    around = mirror(mirror(image, LOBES, 2), LOBES, 3).reshape(B * C, 1, h + 2 * LOBES, -1)
    rows = F.conv2d(around, taps[:, None, :, None])
    planes = F.conv2d(rows.reshape(B * C * ratio, 1, h, -1), taps[:, None, None, :])
    return planes.reshape(B, C, ratio**2, h, w)


def softened(pan: Tensor, sigma: Tensor) -> Tensor:
    """filters.blur of the PAN: (B, 1, H, W), (B, C) -> (B, C, P, h', w'), or (B, 1, ...) if alike.

    A pixel sees the planes of its own place on the grid and of the eight around it: one
    convolution, whose taps are products of Gaussians of rows and of columns.
    """
    B, C = sigma.shape
    H, W = pan.shape[-2:]
    if C > 1 and bool((sigma == sigma[:, :1]).all()):
        return softened(pan, sigma[:, :1])
    taps = gaussian_taps(sigma, 1).to(pan)
    beyond = taps.shape[-1] // 2 - SHUFFLE
    if H % SHUFFLE or W % SHUFFLE or 4 * float(sigma.max()) > SHUFFLE:
        return to_polyphase(blur(pan, sigma))
    taps = taps[..., beyond : taps.shape[-1] - beyond]  # what lies further is nothing in float32
    taps = taps / taps.sum(-1, keepdim=True)
    around = F.pixel_unshuffle(mirror(mirror(pan, SHUFFLE, 2), SHUFFLE, 3), SHUFFLE)
    # To position (p, r) of a cell, from cell (d, e) and its position (q, s).
    along = _along(taps).reshape(B * C, SHUFFLE, 3, SHUFFLE)
    weight = torch.einsum("npdq,nres->nprqsde", along, along)
    weight = weight.reshape(B * C * SHUFFLE**2, SHUFFLE**2, 3, 3)
    soft = F.conv2d(around.reshape(1, -1, *around.shape[2:]), weight, groups=B)
    return soft.reshape(B, C, SHUFFLE**2, *soft.shape[2:])


def _along(taps: Tensor) -> Tensor:
    """(..., K) -> (..., SHUFFLE, K + SHUFFLE - 1): the taps at each position of a cell."""
    rows = [F.pad(taps, (i, SHUFFLE - 1 - i)) for i in range(SHUFFLE)]
    return torch.stack(rows, -2)
