"""What training minimises."""

from collections.abc import Callable

from torch import Tensor

LEAST_SPREAD = 4.0  # DN; flatter bands count as if they had this spread
FULL_SCALE = 2047.0  # DN, 11 bits


def relative_l1(fused: Tensor, gt: Tensor, ms: Tensor) -> Tensor:
    """Mean absolute error in units of each band's own spread, so that bit depths weigh alike.

    Shapes: (B, C, H, W), (B, C, H, W), (B, C, h, w), DN -> ().
    """
    spread = ms.std((-2, -1), keepdim=True).clamp_min(LEAST_SPREAD)
    return ((fused - gt) / spread).abs().mean()


def l1(fused: Tensor, gt: Tensor, ms: Tensor) -> Tensor:  # noqa: ARG001 - losses share a form
    """Mean absolute error over full scale, as most of the field trains. Shapes as above."""
    return (fused - gt).abs().mean() / FULL_SCALE


LOSSES: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "relative_l1": relative_l1,
    "l1": l1,
}
