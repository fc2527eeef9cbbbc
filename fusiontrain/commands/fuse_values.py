"""Values of flags of `fuse` that are words or numbers."""

import os
from collections.abc import Sequence
from typing import Literal, cast

from fusiontrain.errors import SceneError
from fusiontrain.fusion.option_limits import MAX_THREADS


def parse_softness(text: str) -> float | Literal["bands"] | None:
    """None for auto; FusionOptions refuses what is neither a number nor a word it takes."""
    if text == "auto":
        return None
    try:
        return float(text)
    except ValueError:
        return cast("Literal['bands']", text)


def parse_bands(texts: Sequence[str]) -> tuple[int, ...]:
    """Bands of 3,2,1 or several flags. Raises: SceneError naming the parameter."""
    try:
        return tuple(int(band) for text in texts for band in text.split(","))
    except ValueError:
        raise SceneError(f"`bands` is numbers from 1, as in 3,2,1; got {texts}") from None


def parse_threads(text: str | None) -> int | None:
    """None: as torch has them. Raises: SceneError naming the parameter."""
    if text is None:
        return None
    if text.upper() == "ALL_CPUS":
        return os.cpu_count() or 1
    if not text.isdigit() or not 1 <= int(text) <= MAX_THREADS:
        raise SceneError(f"`threads` is a number from 1, or ALL_CPUS; got {text!r}")
    return int(text)
