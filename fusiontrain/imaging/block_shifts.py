"""Block shifts: where on PAN each of many small blocks of the MS lies. Axes as in pan_batch.py."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from fusiontrain.imaging.filters import blur
from fusiontrain.imaging.pan_batch import GridPhase
from fusiontrain.imaging.shift_estimation import MAX_SHIFT, Shift

_STEPS = 6
_CONVERGED = 0.05  # PAN pixels; a block that still moves by more has no estimate
_MIN_EXPLAINED = 0.5  # of the variance of PAN's block, by the bands
_MAX_ERROR = 0.3  # PAN pixels, standard error of an accepted shift
_CORRELATED = 4  # MS pixels whose residuals are one


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockShifts:
    """Shifts of B blocks, PAN pixels, as `Shift`; those without an estimate have none accepted."""

    shifts: Tensor  # (B, 2)
    errors: Tensor  # (B,) standard error, the larger of both axes
    accepted: Tensor  # (B,) bool


def block_margin(sigma: float, ratio: int) -> int:
    """MS pixels of PAN that a block needs around it."""
    return math.ceil((4 * sigma + 2) / ratio + MAX_SHIFT)


def estimate_block_shifts(
    ms: Tensor, pan: Tensor, ratio: int, sigma: float, near: Shift, phase: GridPhase = "aligned"
) -> BlockShifts:
    """Each block's own shift, by Gauss-Newton steps from `near`.

    Shapes: ms (B, C, n, n), pan (B, H, H) with block_margin around each block, H = (n + 2 margin)
            * ratio; DN without missing pixels.
    Units:  PAN pixels, also `sigma` of the blur from PAN to MS.
    In each block PAN is regressed on the bands and a constant, as estimate_shift does. A block
    counts if that explains PAN, the steps end, and the shift is certain and within MAX_SHIFT.
    Source: Lucas and Kanade 1981, IJCAI, 674-679, with a regression for the brightness.
    """
    B, C, n, _ = ms.shape
    blocks = BlockRegression(ms, pan, ratio, sigma, phase)
    shifts = torch.tensor(near, dtype=torch.float64).expand(B, 2)
    step = torch.zeros_like(shifts)
    for _ in range(_STEPS):
        rest, _ = blocks.residuals(shifts)
        slopes = rest[..., 1:]
        step = -_solved(slopes.mT @ slopes, slopes.mT @ rest[..., :1])[..., 0]
        shifts = shifts + step.clamp(-ratio / 3, ratio / 3)
    rest, variance = blocks.residuals(shifts)
    mean_square = rest[..., 0].square().sum(1) / max(1, n * n - C - 3)
    ones = torch.eye(2, dtype=torch.float64).expand(B, 2, 2)
    covariance = _solved(rest[..., 1:].mT @ rest[..., 1:], ones) * _CORRELATED
    errors = (covariance.diagonal(dim1=1, dim2=2).amax(1) * mean_square).clamp_min(0).sqrt()
    accepted = (
        (mean_square < (1 - _MIN_EXPLAINED) * variance)
        & (errors < _MAX_ERROR)
        & (step.abs().amax(1) < _CONVERGED)
        & ((shifts - torch.tensor(near)).abs().amax(1) < MAX_SHIFT * ratio)
    )
    return BlockShifts(shifts=shifts, errors=errors, accepted=accepted)


class BlockRegression:
    """PAN, blurred, regressed on the bands of each block and a constant.

    Shapes as estimate_block_shifts; blocks need not be squares.
    """

    def __init__(
        self, ms: Tensor, pan: Tensor, ratio: int, sigma: float, phase: GridPhase = "aligned"
    ) -> None:
        B, _, n, m = ms.shape
        self.volume = _blurred_and_slopes(pan, sigma)
        margin = (pan.shape[-2] // ratio - n) // 2
        centre = (ratio - 1) / 2 if phase == "aligned" else ratio // 2
        self.rows, self.columns = ((torch.arange(k) + margin) * ratio + centre for k in (n, m))
        bands = torch.cat([ms.flatten(2).double(), ms.new_ones(B, 1, n * m).double()], 1)
        scale = bands.square().mean(2, keepdim=True).sqrt().clamp_min(1e-9)
        self.basis, _ = torch.linalg.qr((bands / scale).mT)

    def residuals(self, shifts: Tensor) -> tuple[Tensor, Tensor]:
        """(B, n * m, 3) of PAN and its slopes at (B, 2) shifts; (B,) variance of PAN."""
        values = _sampled(self.volume, self.rows, self.columns, shifts)
        rest = values - self.basis @ (self.basis.mT @ values)
        return rest, values[..., 0].var(1)


def _blurred_and_slopes(pan: Tensor, sigma: float) -> Tensor:
    """(B, H, H) -> (B, 3, H, H): PAN blurred to the MS, and its slopes along both axes."""
    low = blur(pan[:, None].float(), torch.full((len(pan), 1), sigma))
    down = F.pad((low[..., 2:, :] - low[..., :-2, :]) / 2, (0, 0, 1, 1))
    along = F.pad((low[..., 2:] - low[..., :-2]) / 2, (1, 1))
    return torch.cat([low, down, along], 1)


def _sampled(volume: Tensor, rows: Tensor, columns: Tensor, shifts: Tensor) -> Tensor:
    """(B, 3, H, W) at rows (n,) and columns (m,) plus each block's shift: (B, n * m, 3)."""
    height, width = volume.shape[-2:]
    y = 2 * (rows + shifts[:, :1]) / (height - 1) - 1
    x = 2 * (columns + shifts[:, 1:]) / (width - 1) - 1
    shape = (-1, len(rows), len(columns))
    grid = torch.stack([x[:, None, :].expand(shape), y[:, :, None].expand(shape)], -1).to(volume)
    values = F.grid_sample(volume, grid, "bicubic", "border", align_corners=True)
    return values.double().flatten(2).mT


def _solved(normal: Tensor, right: Tensor) -> Tensor:
    """Solution of (B, 2, 2) systems; flat blocks get a large, finite one."""
    trace = normal.diagonal(dim1=1, dim2=2).sum(1)[:, None, None]
    ridge = (1e-9 * trace + 1e-12) * torch.eye(2, dtype=torch.float64)
    return torch.linalg.solve(normal + ridge, right)
