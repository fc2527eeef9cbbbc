"""What training minimises."""

from torch import Tensor

LEAST_SPREAD = 4.0  # DN; flatter bands count as if they had this spread


def relative_l1(fused: Tensor, gt: Tensor, ms: Tensor) -> Tensor:
    """Mean absolute error in units of each band's own spread, so that bit depths weigh alike.

    Shapes: (B, C, H, W), (B, C, H, W), (B, C, h, w), DN -> ().
    """
    spread = ms.std((-2, -1), keepdim=True).clamp_min(LEAST_SPREAD)
    return ((fused - gt) / spread).abs().mean()
