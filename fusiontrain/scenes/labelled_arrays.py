"""DataArrays of xarray: which of their values are missing, and the result with their labels.

In memory NaN and what `attrs` name are missing, as xarray and rioxarray have it. `encoding`
describes the file: once it is decoded a value equal to its `_FillValue` is data.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fusiontrain.errors import SceneError
from fusiontrain.scenes.grids import check_coordinates

_MARKS = ("_FillValue", "missing_value", "fill_value", "nodata")  # of attrs, the first one first
_FILE_MARKS = ("_FillValue", "missing_value")  # of encoding


def is_labelled(image: Any) -> bool:
    """Whether it is a DataArray. Raises: SceneError if it is a Dataset, of several variables."""
    if hasattr(image, "data_vars"):
        raise SceneError(
            f"PAN and MS must each be one DataArray; got a {type(image).__name__} of "
            f"{', '.join(map(str, image.data_vars)) or 'nothing'}: give one of these, or "
            '.to_dataarray("band")'
        )
    return hasattr(image, "dims") and hasattr(image, "attrs")


def check_labels(pan: Any, ms: Any) -> None:
    """(y, x) or (band, y, x) of PAN, (band, y, x) of MS. Raises: SceneError unless they fit."""
    if pan.ndim not in (2, 3):
        raise SceneError(f"PAN must have dims (y, x) or (band, y, x); got {pan.dims}")
    y, x = pan.dims[-2:]
    if ms.dims[-2:] != (y, x) or ms.ndim != 3:
        raise SceneError(f"MS must have dims (band, {y}, {x}) beside PAN's; got {ms.dims}")
    for axis in (y, x):
        if axis in pan.coords and axis in ms.coords:
            check_coordinates(str(axis), np.asarray(pan[axis]), np.asarray(ms[axis]))


def marks_of(image: Any, name: str) -> tuple[float, ...]:
    """The values beside NaN that mark missing pixels. Raises: SceneError if one is no number."""
    marks: list[float] = []
    for key in _MARKS:
        value = image.attrs.get(key)
        if value is None:
            continue
        numbers = np.ravel(value)  # CF: `missing_value` may be several
        if numbers.dtype.kind not in "uif":
            raise SceneError(
                f"`{key}` in the attrs of {name} must be a number; got {value!r}: remove it, or "
                "set the value that marks missing pixels"
            )
        marks += [number.item() for number in numbers]
    return tuple(mark for mark in dict.fromkeys(marks) if not math.isnan(mark))


def masked_by(values: np.ndarray, marks: Sequence[float]) -> np.ndarray:
    """`values`, masked where they are one of `marks`; as they are without any."""
    if not marks:
        return values
    mask = np.zeros(values.shape, bool)
    with np.errstate(over="ignore"):  # float32 has no such number: no value equals it
        for mark in marks:
            mask |= values == mark
    return np.ma.array(values, mask=mask)


def with_labels(
    fused: np.ndarray, pan: Any, ms: Any, nodata: float | None, bands: Sequence[int] | None
) -> Any:
    """(C, H, W) as a DataArray: PAN's coordinates, MS's attrs, and in these what is missing.

    `nodata`: what missing pixels have; `bands`: of the MS, from 1; None: the bands are others too.
    """
    y, x = ms.dims[-2:]
    coords = {key: pan.coords[key] for key in (y, x, "spatial_ref") if key in pan.coords}
    band = ms.dims[0]
    if bands is not None and band in ms.coords:
        own = ms.coords[band]
        coords[band] = own[[number - 1 for number in bands]] if bands else own
    attrs = dict(ms.attrs)
    keys = [key for key in _MARKS if attrs.get(key) is not None]
    for key in keys:
        del attrs[key]
    marked = nodata is not None and (bool(keys) or not math.isnan(nodata))
    if marked:
        attrs |= dict.fromkeys(keys or _MARKS[:1], fused.dtype.type(nodata))
    result = type(ms)(fused, dims=ms.dims, coords=coords, attrs=attrs, name=ms.name)
    # What a file has for NaN is kept. Its integer dtype is not: numbers beyond would wrap round.
    kept = ("grid_mapping", *(() if marked or fused.dtype.kind != "f" else _FILE_MARKS))
    result.encoding = {key: ms.encoding[key] for key in kept if key in ms.encoding}
    return result
