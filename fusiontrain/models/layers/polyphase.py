"""Polyphase images: an image as P = SHUFFLE^2 planes of a grid SHUFFLE times coarser.

(B, C, H, W) becomes (B, C, P, h', w') with h' = H / SHUFFLE, w' = W / SHUFFLE, ordered as by
pixel_unshuffle. Pointwise operations need no conversion back. Interpolation and blur are computed
directly in this form where that is faster. Axes as in pan_batch.py.
"""

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from fusiontrain.imaging.filters import (
    LOBES,
    STRIDE,
    blur,
    gaussian_taps,
    interpolation_taps,
    mirror,
    taps_on,
    unfolded,
    upsample,
)
from fusiontrain.imaging.pan_batch import GridPhase, move

SHUFFLE = 4  # PAN pixels per feature pixel, a side
_ROWS = 8  # MS rows interpolated by one matrix product


def to_polyphase(image: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C, P, h', w'), padded to a multiple of SHUFFLE."""
    B, C = image.shape[:2]
    planes = F.pixel_unshuffle(pad_to_multiple(image), SHUFFLE)
    return planes.reshape(B, C, SHUFFLE**2, *planes.shape[2:])


def from_polyphase(planes: Tensor, H: int, W: int) -> Tensor:
    """(B, C, P, h', w') -> (B, C, H, W), the padding cropped."""
    return F.pixel_shuffle(planes.flatten(1, 2), SHUFFLE)[..., :H, :W]


def pad_to_multiple(image: Tensor) -> Tensor:
    """(B, C, H, W), its last row and column replicated up to a multiple of SHUFFLE."""
    H, W = image.shape[-2:]
    down, right = -H % SHUFFLE, -W % SHUFFLE
    if not down and not right:  # F.pad would copy the image
        return image
    return F.pad(image, (0, right, 0, down), mode="replicate")


def polyphase_mask(image: Tensor) -> Tensor | None:
    """(1, 1, P, h', w'): 1 for pixels of the image, 0 for padding; None without padding."""
    H, W = image.shape[-2:]
    down, right = -H % SHUFFLE, -W % SHUFFLE
    if not down and not right:
        return None
    return to_polyphase(F.pad(image.new_ones(1, 1, H, W), (0, right, 0, down)))


def upsample_polyphase(image: Tensor, ratio: int, phase: GridPhase) -> Tensor:
    """filters.upsample in polyphase form: (B, C, h, w) -> (B, C, P, h', w')."""
    if ratio != SHUFFLE:
        return to_polyphase(upsample(image, ratio, phase))
    B, C, h, w = image.shape
    if image.dtype == torch.float32 and image.device.type == "cpu":
        along = interpolate_columns(image.flatten(0, 1), phase)
        interpolated = torch.empty(B * C, SHUFFLE**2, h, w)
        for top in range(0, h, _ROWS):
            rows = slice(top, min(top + _ROWS, h))
            interpolated[:, :, rows] = transposed_positions(interpolate_rows(along, rows, phase))
        return interpolated.reshape(B, C, ratio**2, h, w)
    taps = taps_on(ratio, phase, image.dtype, image.device)
    around = mirror(mirror(image, LOBES, 2), LOBES, 3).reshape(B * C, 1, h + 2 * LOBES, -1)
    tall = F.conv2d(around, taps[:, None, :, None])
    planes = F.conv2d(tall.reshape(B * C * ratio, 1, h, -1), taps[:, None, None, :])
    return planes.reshape(B, C, ratio**2, h, w)


def interpolate_columns(image: Tensor, phase: GridPhase) -> Tensor:
    """Half of an interpolation by SHUFFLE: (N, h, w) -> (N, SHUFFLE, h + 2 LOBES, w).

    Float32 on the CPU. The image of each position in a cell along the columns' axis, rows beyond
    the border mirrored; `interpolate_rows` does the rest. By matrix products of STRIDE pixels and
    their neighbours with a table of taps, several times faster than one-channel convolutions.
    """
    N, h, w = image.shape
    around = mirror(mirror(image, LOBES, 1), LOBES, 2)
    blocks = unfolded(around, -1, STRIDE + 2 * LOBES, -w % STRIDE)  # (N, h + 2 LOBES, n, ...)
    along = blocks.reshape(-1, blocks.shape[-1]) @ _columns_table(phase)
    along = along.reshape(N, h + 2 * LOBES, -1, SHUFFLE, STRIDE).permute(0, 3, 1, 2, 4)
    return along.flatten(3)[..., :w]


def interpolate_rows(along: Tensor, rows: slice, phase: GridPhase) -> Tensor:
    """The other half, for some rows: (N, SHUFFLE, h + 2 LOBES, w) -> (N, P, rows, w).

    Transposed positions: P counts down the columns of a cell, not along its rows.
    """
    N, w = len(along), along.shape[-1]
    count = rows.stop - rows.start
    table = _rows_table(phase, count).expand(N * SHUFFLE, -1, -1)
    near = along[:, :, rows.start : rows.stop + 2 * LOBES].flatten(0, 1)
    return torch.bmm(table, near).reshape(N, SHUFFLE**2, count, w)


def transposed_positions(planes: Tensor) -> Tensor:
    """(..., P, h', w') with P counted down the columns of a cell, not along its rows; or back."""
    *before, _, h, w = planes.shape
    return planes.reshape(*before, SHUFFLE, SHUFFLE, h, w).transpose(-4, -3).flatten(-4, -3)


@cache
@torch.inference_mode(False)
def _columns_table(phase: GridPhase) -> Tensor:
    """(STRIDE + 2 LOBES, SHUFFLE * STRIDE): taps of each position in a cell, then of each pixel."""
    taps = interpolation_taps(SHUFFLE, phase).float()
    table = torch.zeros(STRIDE + 2 * LOBES, SHUFFLE, STRIDE)
    for i in range(STRIDE):
        table[i : i + 2 * LOBES + 1, :, i] = taps.T
    return table.flatten(1)


@cache
@torch.inference_mode(False)
def _rows_table(phase: GridPhase, count: int) -> Tensor:
    """(SHUFFLE * count, count + 2 LOBES), of `count` rows."""
    taps = interpolation_taps(SHUFFLE, phase).float()
    table = torch.zeros(SHUFFLE, count, count + 2 * LOBES)
    for i in range(count):
        table[:, i, i : i + 2 * LOBES + 1] = taps
    return table.flatten(0, 1)


def blur_polyphase(pan: Tensor, sigma: Tensor) -> Tensor:
    """filters.blur in polyphase form: pan (B, 1, H, W), sigma (B, C) -> (B, C, P, h', w').

    (B, 1, P, h', w') if all bands have the same sigma. A pixel depends on its own cell of the
    coarse grid and the eight around it: one 3 x 3 convolution with separable Gaussian taps.
    """
    B, C = sigma.shape
    H, W = pan.shape[-2:]
    if C > 1 and bool((sigma == sigma[:, :1]).all()):
        return blur_polyphase(pan, sigma[:, :1])
    taps = move(gaussian_taps(sigma, 1).to(pan.dtype), pan.device)
    beyond = taps.shape[-1] // 2 - SHUFFLE
    if H % SHUFFLE or W % SHUFFLE or 4 * float(sigma.max()) > SHUFFLE:
        return to_polyphase(blur(pan, sigma))
    taps = taps[..., beyond : taps.shape[-1] - beyond]  # taps beyond are zero in float32
    taps = taps / taps.sum(-1, keepdim=True)
    around = F.pixel_unshuffle(mirror(mirror(pan, SHUFFLE, 2), SHUFFLE, 3), SHUFFLE)
    # Output position (p, r) of a cell; input cell (d, e), its position (q, s).
    along = _along(taps).reshape(B * C, SHUFFLE, 3, SHUFFLE)
    weight = torch.einsum("npdq,nres->nprqsde", along, along)
    weight = weight.reshape(B * C * SHUFFLE**2, SHUFFLE**2, 3, 3)
    soft = F.conv2d(around.reshape(1, -1, *around.shape[2:]), weight, groups=B)
    return soft.reshape(B, C, SHUFFLE**2, *soft.shape[2:])


def _along(taps: Tensor) -> Tensor:
    """(..., K) -> (..., SHUFFLE, K + SHUFFLE - 1): taps for each position in a cell."""
    rows = [F.pad(taps, (i, SHUFFLE - 1 - i)) for i in range(SHUFFLE)]
    return torch.stack(rows, -2)
