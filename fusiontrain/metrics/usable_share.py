"""How many pixels, windows and blocks of a pair of images each index could use."""

from dataclasses import dataclass

import torch
from torch import Tensor

from fusiontrain.metrics.input_checks import as_pair
from fusiontrain.metrics.q2n import mirrored
from fusiontrain.metrics.sliding_windows import whole_windows
from fusiontrain.metrics.spectral import pixels
from fusiontrain.metrics.uqi import whole_blocks


@dataclass(frozen=True, kw_only=True, slots=True)
class Usable:
    """Counts, () or (N,) as the images were."""

    total: int  # pixels of an image
    pixels: Tensor  # valid: ERGAS, RMSE, PSNR, CC
    angles: Tensor  # valid, with both spectra not zero: SAM
    gradients: Tensor  # 3x3 windows without nodata: the SCCs
    blocks: Tensor  # 32x32, side by side, without nodata: Q2n, and at full resolution D_lambda, D_s
    windows: Tensor  # 32x32, sliding, without nodata: UQI
    bells: Tensor  # 11x11, sliding, without nodata: SSIM


def usable(gt: Tensor, fused: Tensor, valid: Tensor | None = None) -> Usable:
    """Raises: as `sam` does, but counts of zero are returned, not refused."""
    pair = as_pair(gt, fused, valid, one_range=False)
    N, _, H, W = pair.gt.shape
    mask = pair.valid
    if mask is None:
        mask = torch.ones(N, H, W, dtype=torch.bool, device=pair.gt.device)
    nonzero = (pair.gt != 0).any(1) & (pair.fused != 0).any(1)

    def windows(side: int) -> Tensor:
        if min(H, W) < side:
            return torch.zeros(N, dtype=torch.long, device=mask.device)
        return whole_windows(mask, side).sum((-2, -1))

    return Usable(
        total=H * W,
        pixels=pair.give(pixels(pair)),
        angles=pair.give(nonzero.sum((-2, -1))),
        gradients=pair.give(windows(3)),
        blocks=pair.give(whole_blocks(mirrored(mask, 32), 32).sum((-2, -1))),
        windows=pair.give(windows(32)),
        bells=pair.give(windows(11)),
    )
