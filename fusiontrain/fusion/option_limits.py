"""Limits of what FusionOptions takes. Without torch: commands check flags before they import it."""

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, Literal

from fusiontrain.errors import SceneError
from shards.console import one_line

BANDS: Literal["bands"] = "bands"  # softness: one number a band
SOFTNESS_LIMITS = (0.05, 0.95)
MIN_WINDOW = 64  # PAN pixels a side
MAX_THREADS = 1024
_INTEGERS = [f"{kind}{bits}" for bits in (8, 16, 32, 64) for kind in ("uint", "int")]
DTYPES = (*_INTEGERS, "float32", "float64")


def check_softness(softness: Any) -> None:
    """Raises: SceneError unless None, "bands" or a number within SOFTNESS_LIMITS."""
    low, high = SOFTNESS_LIMITS
    if softness is None or (isinstance(softness, str) and softness == BANDS):
        return
    if not is_number(softness) or not low <= softness <= high:
        raise SceneError(
            f"`softness` is auto, bands or a number from {low} to {high}; got {shown(softness)}"
        )


def check_window(window: Any) -> None:
    """Raises: SceneError unless None or at least MIN_WINDOW PAN pixels a side."""
    if window is not None and not (is_whole(window) and window >= MIN_WINDOW):
        raise SceneError(
            f"a window is at least {MIN_WINDOW} PAN pixels a side; got {shown(window)}"
        )


def check_memory(memory: Any) -> None:
    """Raises: SceneError unless it is a number of GiB."""
    if not is_number(memory) or not 0 < memory < math.inf:
        raise SceneError(f"`memory` is GiB, a number larger than 0; got {shown(memory)}")


def flag(name: str, value: Any) -> bool:
    """Raises: SceneError unless True or False, of numpy too, or 1 or 0."""
    if isinstance(value, str) or str(value) not in ("True", "False", "1", "0"):
        raise SceneError(f"`{name}` is True or False; got {shown(value)}")
    return bool(value)


def is_number(value: Any) -> bool:
    """Of Python or numpy, and no bool."""
    return isinstance(value, Real) and not isinstance(value, bool)


def is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_word(value: Any, words: Sequence[str]) -> bool:
    return isinstance(value, str) and value in words


def shown(value: Any) -> str:
    """For a message: one line, however long the value is; numpy's arrays take several."""
    return one_line(repr(value))
