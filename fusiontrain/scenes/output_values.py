"""DN as values of an output's dtype, and the value that marks missing pixels."""

import math

import numpy as np

from fusiontrain.errors import SceneError


def output_pixels(
    fused: np.ndarray,
    valid: np.ndarray,
    dtype: np.dtype,
    nodata: float | None,
    bits: int | None = None,
) -> np.ndarray:
    """(C, H, W) as a file holds it: `nodata`, or 0, where `valid` (H, W) is not.

    bits: of integers, where they are fewer than the dtype's.
    Raises: SceneError where a valid pixel is not finite.
    """
    missing = ~valid
    fill = 0 if nodata is None else nodata
    if missing.all():
        return np.full(fused.shape, fill, dtype)
    finite = np.isfinite(fused).all(0)
    if lost := int((valid & ~finite).sum()):
        raise SceneError(
            f"{lost} of {int(valid.sum())} pixels with data were fused to values that are not "
            "finite; nothing is written\n  do: check the inputs and the weights, or take "
            "another `method`"
        )
    data = to_dtype(fused if finite.all() else np.where(finite, fused, 0), dtype, nodata, bits)
    if missing.any():
        data[:, missing] = fill
    return data


def to_dtype(
    image: np.ndarray, dtype: np.dtype, nodata: float | None, bits: int | None = None
) -> np.ndarray:
    """Rounded and saturated to an integer dtype; data never takes the value of nodata."""
    if dtype.kind not in "ui":
        return image.astype(dtype)
    info = np.iinfo(dtype)
    exact = np.float32 if info.bits <= 16 else np.float64
    whole = np.rint(image.astype(exact, copy=False))
    full = info.max if bits is None else min(info.max, 2**bits - 1)
    # The end of 64 bits is no float64: the next one below is.
    top = full if full < 2**53 else np.nextafter(float(full), 0)
    data = np.clip(whole, info.min, top, out=whole).astype(dtype)
    if nodata is not None and info.min <= nodata <= full:
        neighbour = nodata + 1 if nodata < full else nodata - 1
        data[data == nodata] = neighbour
    return data


def pair_nodata(
    pan: float | None, ms: float | None, pan_dtype: np.dtype, ms_dtype: np.dtype
) -> float | None:
    """Of the output: the MS's; NaN for floats; else the PAN's, or 0 where that does not fit."""
    if ms is not None:
        return ms
    if ms_dtype.kind == "f":
        return math.nan
    if pan is None:
        # Without a float PAN every pixel is data, or a mask says which.
        return 0.0 if pan_dtype.kind == "f" else None
    return pan if fits(pan, ms_dtype) else 0.0


def output_nodata(
    inputs: float | None, dtype: np.dtype, given: float | None
) -> tuple[float | None, str]:
    """The value that marks missing pixels in a file of `dtype`, and a note if it is a new one.

    `inputs`: what the inputs have; `given`: what the user wants.
    Raises: SceneError if the given value is none of that dtype.
    """
    if given is not None:
        check_nodata(given, dtype)
        return given, ""
    if inputs is None or fits(inputs, dtype):
        return inputs, ""
    return 0.0, f"nodata {inputs:g} is no value of {dtype}: 0 in the output"


def check_nodata(nodata: float, dtype: np.dtype) -> None:
    """Raises: SceneError if it is no value of that dtype."""
    if not fits(nodata, dtype):
        raise SceneError(f"`nodata` {nodata:g} is no value of {dtype}; give one that is")


def fits(value: float, dtype: np.dtype) -> bool:
    if dtype.kind == "f":
        return not math.isfinite(value) or abs(value) <= float(np.finfo(dtype).max)
    info = np.iinfo(dtype)
    return math.isfinite(value) and value == int(value) and info.min <= value <= info.max
