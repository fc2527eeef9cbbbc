"""Losses: fused (B, C, H, W), truth and inputs -> a scalar."""

from collections.abc import Callable

from torch import Tensor

from fusiontrain.imaging.filters import degrade
from fusiontrain.imaging.full_precision import full_precision
from fusiontrain.imaging.pan_batch import PanBatch

LEAST_SPREAD = 4.0  # DN; flatter bands count as if they had this spread
FULL_SCALE = 2047.0  # DN, 11 bits
CONSISTENCY = 0.3  # of the MS given back, beside the target
BRIGHTNESS, HUE, DETAIL = 0.5, 0.5, 0.5  # bands' mean, what differs from it, neighbours
TONE_OFFSET = 0.15  # spreads above the darkest ground; there differences count 2.6 times


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


def scene_l1(fused: Tensor, truth: Tensor, batch: PanBatch) -> Tensor:
    """`relative_l1` and four terms that make pictures crisp and their colours true.

    Three are of the tone curve's values, so that dark ground counts for more: the error of the
    bands' mean, which PAN determines almost entirely (L1 alone takes a band's median, which is
    soft); what the bands' errors differ from it, which is an error of hue; and the error of
    differences between neighbours, the finest detail. The fourth is the error that the MS's
    pixels hold: not against the MS itself, which may lie off the target.
    Shapes: as `relative_l1`.
    """
    spread = batch.ms.std((-2, -1), keepdim=True).clamp_min(LEAST_SPREAD)
    darkest = batch.ms.amin((-2, -1), keepdim=True)
    error = (fused - truth) / spread
    tones = tone_curve((fused - darkest) / spread) - tone_curve((truth - darkest) / spread)
    down, along = tones.diff(dim=-2), tones.diff(dim=-1)
    brightness = tones.mean(1, keepdim=True)
    coarse = degrade(error, batch.mtf, batch.ratio, batch.phase)
    return (
        error.abs().mean()
        + BRIGHTNESS * brightness.abs().mean()
        + HUE * (tones - brightness).abs().mean()
        + DETAIL * (down.abs().mean() + along.abs().mean())
        + CONSISTENCY * coarse.abs().mean()
    )


def tone_curve(light: Tensor) -> Tensor:
    """A square root above 0, the darkest ground, and its tangent there below it.

    The eye, and a picture stretched for it, separate dark greys better than bright ones.
    """
    root: Tensor = 2 * ((light.clamp_min(0) + TONE_OFFSET).sqrt() - TONE_OFFSET**0.5)
    return root + light.clamp_max(0) / TONE_OFFSET**0.5


LOSSES: dict[str, Callable[[Tensor, Tensor, PanBatch], Tensor]] = {
    "relative_l1": lambda fused, truth, batch: relative_l1(fused, truth, batch.ms),
    "l1": lambda fused, truth, _: l1(fused, truth),
    "consistent_l1": consistent_l1,
    "scene_l1": scene_l1,
}
