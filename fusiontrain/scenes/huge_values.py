"""Values too large for float32 arithmetic: what is left of a nodata value that nothing declares."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fusiontrain.errors import SceneError

if TYPE_CHECKING:
    from torch import Tensor

SMALLEST_HUGE = 2.0**64  # its square is no float32


def may_be_huge(dtype: np.dtype) -> bool:
    """Whether a file of that dtype can hold such values."""
    return dtype.kind == "f" or dtype.itemsize > 4


def check_huge(name: str, image: Tensor, valid: Tensor) -> None:
    """`image` (C, h, w) float32, `valid` (h, w) bool.

    Raises: SceneError if a valid pixel has a value whose square is not finite in float32.
    """
    huge = (image.abs() >= SMALLEST_HUGE).any(0) & valid
    if not bool(huge.any()):
        return
    pixels = image[:, huge]
    value = float(pixels.flatten()[int(pixels.abs().argmax())])
    raise SceneError(
        f"{name} has values of about {value:.2g}, too large for readings: they look like nodata "
        f"that nothing declares: give `nodata={value!r}`"
    )
