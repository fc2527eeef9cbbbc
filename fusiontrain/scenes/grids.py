"""When two grids count as one: the tolerances, and CRS that can be compared."""

import math
from typing import Any

import numpy as np

from fusiontrain.errors import SceneError

LEAST_RATIO, MAX_RATIO = 1.5, 8  # PAN pixels per MS pixel
GRID_TOLERANCE = 0.25  # PAN pixels by which two grids may miss each other
STACK_TOLERANCE = 0.05  # pixels by which files of one band each may miss each other
EXTENT_TOLERANCE = 0.01  # of its side, by which a file without georeference may miss a whole ratio


def check_crs(pan_crs: Any, other_crs: Any, other: str) -> None:
    """Raises: SceneError if just one of PAN and `other` has a CRS: nothing leads to the other's."""
    if pan_crs != other_crs and (pan_crs is None or other_crs is None):
        raise SceneError(
            f"PAN is in {pan_crs}, {other} in {other_crs}: give the one without a CRS its own "
            "(gdal_edit -a_srs)"
        )


def check_ratio(size: float, ms: str) -> None:
    """`size`: of an MS pixel, PAN pixels; `ms`: its name. Raises: SceneError."""
    if 0 < size < 1:
        raise SceneError(
            f"MS pixels must be larger than PAN's; those of {ms} are {size:.4g} of a PAN "
            "pixel wide. Were PAN and MS exchanged?"
        )
    if not LEAST_RATIO * 0.999 <= size <= MAX_RATIO * 1.001:
        raise SceneError(
            f"an MS pixel must be {LEAST_RATIO} to {MAX_RATIO} PAN pixels wide; got {size:.4g}: "
            "is this the PAN of this MS?"
        )


def check_coordinates(axis: str, fine: np.ndarray, coarse: np.ndarray) -> None:
    """Raises: SceneError unless both begin at one edge and end at one."""
    if min(len(fine), len(coarse)) < 2:
        return
    for name, values in (("PAN", fine), ("MS", coarse)):
        if values.dtype.kind not in "uif":
            raise SceneError(f"coordinates {axis} must be numbers; got {values.dtype} in {name}")
    a, b = ((float(v[-1]) - float(v[0])) / (len(v) - 1) for v in (fine, coarse))
    starts = (float(fine[0]) - a / 2, float(coarse[0]) - b / 2)
    ends = (float(fine[-1]) + a / 2, float(coarse[-1]) + b / 2)
    missed = max(abs(starts[0] - starts[1]), abs(ends[0] - ends[1]))
    offset = missed / abs(a) if a else math.inf
    if not offset <= GRID_TOLERANCE:
        raise SceneError(
            f"PAN and MS do not cover the same {axis}: they differ by {offset:.2f} PAN pixels; "
            "cut them to the same ground, or give files, which are aligned"
        )
