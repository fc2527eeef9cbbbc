"""Losses: fused (B, C, H, W), truth and inputs -> a scalar."""

from collections.abc import Callable

from torch import Tensor

from fusiontrain.imaging.filters import degrade
from fusiontrain.imaging.full_precision import full_precision
from fusiontrain.imaging.pan_batch import PanBatch

LEAST_SPREAD = 4.0  # DN; flatter bands count as if they had this spread
FULL_SCALE = 2047.0  # DN, 11 bits
CONSISTENCY = 0.3  # of the MS given back, beside the target


def relative_l1(fused: Tensor, truth: Tensor, ms: Tensor) -> Tensor:
    """Mean absolute error in units of each band's own spread, so that bit depths weigh alike.

    Shapes: (B, C, H, W), (B, C, H, W), (B, C, h, w), DN -> ().
    """
    spread = ms.std((-2, -1), keepdim=True).clamp_min(LEAST_SPREAD)
    return ((fused - truth) / spread).abs().mean()


def l1(fused: Tensor, truth: Tensor) -> Tensor:
    """Mean absolute error over full scale, as most of the field trains. Shapes as above."""
    return (fused - truth).abs().mean() / FULL_SCALE


def consistent_l1(fused: Tensor, truth: Tensor, batch: PanBatch) -> Tensor:
    """`relative_l1`, and CONSISTENCY times that of the result, as the MS sees it, to the MS.

    Wald's first property: fused, blurred by the MTF and decimated, gives the MS back. What it
    gains in accuracy: docs/reference/models.md.
    Source: Wald, Ranchin and Mangolini 1997, PE&RS 63(6):691-699.
    """
    with full_precision(fused.device):
        again = degrade(fused, batch.mtf, batch.ratio, batch.phase)
    return relative_l1(fused, truth, batch.ms) + CONSISTENCY * relative_l1(
        again, batch.ms, batch.ms
    )


LOSSES: dict[str, Callable[[Tensor, Tensor, PanBatch], Tensor]] = {
    "relative_l1": lambda fused, truth, batch: relative_l1(fused, truth, batch.ms),
    "l1": lambda fused, truth, _: l1(fused, truth),
    "consistent_l1": consistent_l1,
}
