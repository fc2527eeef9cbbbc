"""Limits of numbers in FusionOptions. Without torch: commands check flags before they import it."""

from typing import Literal

from fusiontrain.errors import SceneError

BANDS: Literal["bands"] = "bands"  # softness: one number a band
SOFTNESS_LIMITS = (0.05, 0.95)
MIN_WINDOW = 64  # PAN pixels a side


def check_softness(softness: float | str | None) -> None:
    """Raises: SceneError unless None, "bands" or a number within SOFTNESS_LIMITS."""
    low, high = SOFTNESS_LIMITS
    if softness is None or softness == BANDS:
        return
    if isinstance(softness, str) or not low <= softness <= high:
        raise SceneError(
            f"`softness` is auto, bands or a number from {low} to {high}; got {softness!r}"
        )


def check_window(window: int | None) -> None:
    """Raises: SceneError unless None or at least MIN_WINDOW PAN pixels a side."""
    if window is not None and window < MIN_WINDOW:
        raise SceneError(f"a window is at least {MIN_WINDOW} PAN pixels a side; got {window}")
