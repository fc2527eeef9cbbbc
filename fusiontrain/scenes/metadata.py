"""Sensor and full scale of a scene, from sidecars, names and the data itself."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fusiontrain.errors import SceneError
from shards.bounded_reading import read_json
from shards.sensors import GENERIC, Sensor, match_sensor

MAX_SAMPLES = 2**26  # of PAN, MS and truth together: 256 MB as float32
_DEPTHS = (8, 10, 11, 12, 14, 16)  # of instruments
_LARGEST_SIDECAR = 2**20  # bytes
# Filtered and resampled by bicubic kernels, data overshoots its range at edges, by less than this.
OVERSHOOT = 0.3
_S2_TILE = re.compile(r"(?:^|_)T\d\d[A-Z]{3}_\d{8}T\d{6}(?:_|$)")  # of images in .SAFE folders


@dataclass(frozen=True, kw_only=True, slots=True)
class Sidecar:
    """X.json beside X_pan.tif and X_ms.tif. Keys that it lacks are None."""

    sensor: str | None = None
    bands: tuple[str, ...] | None = None
    ratio: int | None = None
    bit_depth: int | None = None


def read_sidecar(path: Path) -> Sidecar:
    """Raises: SceneError if it is no JSON object, or naming the key that is not as expected."""
    try:
        values = read_json(path, _LARGEST_SIDECAR)
    except (OSError, ValueError) as error:
        raise SceneError(f"cannot read {path}: {error}") from error
    if not isinstance(values, dict):
        raise SceneError(f"{path} must hold an object, {{...}}; got {type(values).__name__}")
    for key, (fits, expected) in _SIDECAR.items():
        if values.get(key) is not None and not fits(values[key]):
            raise SceneError(f"{path}: {key} = {values[key]!r}; expected {expected}")
    bands = values.get("bands")
    return Sidecar(
        sensor=values.get("sensor"),
        bands=None if bands is None else tuple(bands),
        ratio=values.get("ratio"),
        bit_depth=values.get("bit_depth"),
    )


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, str) for v in value)


_SIDECAR: dict[str, tuple[Callable[[Any], bool], str]] = {
    "sensor": (lambda v: isinstance(v, str), "a name"),
    "bands": (_are_names, "a list of names"),
    "ratio": (lambda v: type(v) is int and 2 <= v <= 8, "a whole number, 2 to 8"),
    "bit_depth": (lambda v: type(v) is int and 1 <= v <= 16, "a whole number, 1 to 16"),
}


def guess_sensor(text: str) -> Sensor | None:
    """The sensor that a file's or folder's name contains: "test_wv3_multiExm1" WorldView-3."""
    if _S2_TILE.search(text):
        return match_sensor("Sentinel-2")
    words = re.findall(r"[^\W_]+", text)
    for count in (3, 2, 1):
        for start in range(len(words) - count + 1):
            row = match_sensor("".join(words[start : start + count]))
            if row is not None and row is not GENERIC:
                return row
    return None


def guess_from_path(path: Path, root: Path) -> Sensor | None:
    """From the file's name, else from its folders', up to and with `root`; the nearest counts."""
    for place in (path, *path.parents):
        row = guess_sensor(place.stem if place == path else place.name)
        if row is not None or place == root:
            return row
    return None


def check_size(name: str, *shapes: tuple[int, ...]) -> None:
    """Raises: SceneError, before memory is taken, if all arrays together hold too many samples."""
    samples = sum(math.prod(shape) for shape in shapes)
    if samples > MAX_SAMPLES:
        raise SceneError(
            f"{name} has {samples} samples in all; a scene in memory may have {MAX_SAMPLES}: "
            "cut out a piece (gdal_translate -srcwin), or fuse the files by windows"
        )


def as_tensor(name: str, key: str, data: np.ndarray) -> Tensor:
    """float32. Raises: SceneError on NaN or infinities."""
    with np.errstate(over="ignore"):  # becomes infinite, and is refused below
        image = torch.from_numpy(np.ascontiguousarray(data, dtype=np.float32))
    if not bool(torch.isfinite(image).all()):
        raise SceneError(f"{name}: {key} has NaN or infinite values; expected DN everywhere")
    return image


def check_dn(name: str, *images: Tensor | None) -> float:
    """The largest value. Raises: SceneError if these are no DN but parts of one, or too large."""
    present = [image for image in images if image is not None]
    top = max(float(image.max()) for image in present)
    fractions = any(bool((image != image.round()).any()) for image in present)
    if top <= 1.5 and fractions:
        raise SceneError(
            f"{name}: values run to {top:.4g}: they were divided by their range; expected DN: "
            "multiply by the full scale (2047 for 11 bits; reflectance by 10000)"
        )
    if top > 2**16 - 1:
        raise SceneError(f"{name}: values run to {top:.6g}; expected DN of at most 16 bits, 65535")
    return top


def check_depth(name: str, bits: int, *images: Tensor | None) -> None:
    """Raises: SceneError if values lie outside `bits` by more than filtering explains."""
    full = 2**bits - 1
    for image in images:
        if image is None:
            continue
        low, top = float(image.min()), float(image.max())
        if low < -OVERSHOOT * full or top > (1 + OVERSHOOT) * full:
            raise SceneError(
                f"{name}: values run from {low:g} to {top:g}; expected {bits} bits, 0 to {full}: "
                "give the sensor or the bit depth that this data has"
            )


def assume_depth(
    sensor: Sensor, top: float, *, most: int = 16, slack: float = 0
) -> tuple[int, str]:
    """(bits, note) for DN up to `top` in a dtype of `most` bits.

    The row's, where it has one and the data exceed it by no more than the part `slack`; else the
    smallest depth there is that holds them.
    """
    own = min(sensor.bits, most)
    if sensor is not GENERIC and top <= (1 + slack) * (2**own - 1):
        return own, ""
    bits = next(depth for depth in _DEPTHS if top <= 2**depth - 1)
    beyond = "" if sensor is GENERIC else f", beyond the {own} bits of {sensor.name}"
    return bits, f"{bits} bits assumed: DN run to {top:g}{beyond}"
