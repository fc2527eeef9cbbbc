"""Masks of valid pixels, carried between the grids of PAN and MS. Axes: H W PAN; h w MS pixels."""

import torch.nn.functional as F
from torch import Tensor


def ms_valid_mask(valid: Tensor, ratio: int) -> Tensor:
    """(..., H, W) bool -> (..., h, w) bool: an MS pixel is valid if all its PAN pixels are.

    PAN pixels beyond the last whole MS pixel are ignored.
    """
    h, w = (side // ratio for side in valid.shape[-2:])
    whole = valid[..., : h * ratio, : w * ratio]
    if bool(whole.all()):  # as most windows are: one pass in place of two by columns
        return valid.new_ones(*valid.shape[:-2], h, w)
    return whole.reshape(*valid.shape[:-2], h, ratio, w, ratio).all(-1).all(-2)


def pan_valid_mask(ms_valid: Tensor, ratio: int) -> Tensor:
    """(h, w) bool -> (H, W) bool: each PAN pixel is as valid as the MS pixel that covers it."""
    h, w = ms_valid.shape
    return ms_valid[:, None, :, None].expand(h, ratio, w, ratio).reshape(h * ratio, w * ratio)


def eroded(valid: Tensor, radius: int) -> Tensor:
    """(h, w) bool: pixels without an invalid one within `radius` rows and columns.

    Pixels outside the image do not count as invalid.
    """
    invalid = (~valid).float()[None]
    return F.max_pool2d(invalid, 2 * radius + 1, 1, radius)[0] == 0
