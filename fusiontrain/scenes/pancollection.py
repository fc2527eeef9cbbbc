"""PanCollection's h5 files, and MATLAB v7.3 files, which are HDF5 too. The only h5py import.

Keys gt, ms, lms, pan; python sees N x C x H x W. Source: Deng et al. 2022, IEEE GRSM 10(3):279-315,
and the collection's own MATLAB scripts.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from fusiontrain.errors import SceneError
from fusiontrain.scenes.metadata import (
    as_tensor,
    assume_depth,
    check_depth,
    check_dn,
    check_size,
    guess_sensor,
)
from fusiontrain.scenes.scene import Scene
from shards.sensors import GENERIC, Sensor

KEYS = ("ms", "pan")
# Raised by h5py for damaged files, even for a key that is listed.
_BAD_FILE = (OSError, KeyError, RuntimeError, ValueError, TypeError)


@dataclass(frozen=True, kw_only=True, slots=True)
class Variable:
    """One array of a MATLAB file, as MATLAB sees it."""

    shape: tuple[int, ...]
    kind: str  # MATLAB's class: double, uint16, char, cell...


def is_pancollection(path: Path) -> bool:
    """Whether the file has the keys; False for what is no HDF5."""
    try:
        with h5py.File(path, "r") as file:
            return all(key in file for key in KEYS)
    except _BAD_FILE:
        return False


def count_samples(path: Path) -> int:
    """Number of samples in a file. Raises: SceneError if its arrays do not fit each other."""
    with _open(path) as file:
        return _shapes(path, file)["ms"][0]


def read_sample(path: Path, index: int, *, name: str, sensor: Sensor | None = None) -> Scene:
    """Sample `index`, counted from 0; only its pixels are read. lms is not used.

    Raises: SceneError if the file is no PanCollection, values do not fit the sensor's bit depth,
            or the sample is too large.
    """
    with _open(path) as file:
        shapes = _shapes(path, file)
        check_size(name, *(shape[1:] for key, shape in shapes.items() if key != "lms"))
        images = {
            key: as_tensor(name, key, np.asarray(file[key][index]))
            for key in shapes
            if key != "lms"
        }
    top = check_dn(name, *(images[key] for key in KEYS))
    guess = guess_sensor(path.stem)
    row, note = sensor or guess or GENERIC, ""
    bits = row.bits
    if row is GENERIC:
        bits, note = assume_depth(row, top)
        note = f"no sensor in the name of the file: generic; {note}"
    scene = Scene(
        name=name,
        ms=images["ms"],
        pan=images["pan"],
        gt=images.get("gt"),
        sensor=row,
        bits=bits,
        phase="toolbox",
        note=note,
    )
    check_depth(name, bits, *images.values())
    return scene


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    try:
        with h5py.File(path, "r") as file:
            yield file
    except _BAD_FILE as error:
        raise SceneError(f"cannot read {path} as HDF5: {error}") from error


def _dataset(path: Path, file: Any, key: str) -> Any:
    """A numeric array that lies in this file itself, not behind a link into another one."""
    if not isinstance(file.get(key, getlink=True), h5py.HardLink):
        raise SceneError(f"{path}: {key} is a link to elsewhere; expected an array in the file")
    dataset = file[key]
    if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind not in "uif":
        raise SceneError(f"{path}: {key} is not numeric; expected an array of numbers")
    if dataset.is_virtual or dataset.external:
        raise SceneError(f"{path}: {key} lies in another file; expected an array in this one")
    return dataset


def _shapes(path: Path, file: Any) -> dict[str, tuple[int, ...]]:
    missing = [key for key in KEYS if key not in file]
    if missing:
        raise SceneError(
            f"{path} has no {missing[0]}; expected ms, pan and, at reduced resolution, gt (N x C x "
            f"H x W); it has {', '.join(sorted(file)[:8]) or 'nothing'}"
        )
    keys = [key for key in ("ms", "pan", "gt", "lms") if key in file]
    shapes: dict[str, tuple[int, ...]] = {key: _dataset(path, file, key).shape for key in keys}
    ms, pan = shapes["ms"], shapes["pan"]
    got = f"got ms {ms}, pan {pan}"
    if len(ms) != 4 or len(pan) != 4:
        raise SceneError(f"{path}: expected N x C x H x W; {got}")
    if pan[3] == 1 < pan[1]:
        raise SceneError(
            f"{path}: axes are N x H x W x C; expected N x C x H x W; {got}: "
            "write the file again after transpose(0, 3, 1, 2)"
        )
    if pan[1] != 1:
        raise SceneError(f"{path}: pan must be N x 1 x H x W; {got}")
    if ms[0] != pan[0] or not ms[0]:
        raise SceneError(f"{path}: expected as many samples in ms as in pan, at least one; {got}")
    for key in ("gt", "lms"):
        expected = (*ms[:2], *pan[2:])
        if shapes.get(key, expected) != expected:
            raise SceneError(f"{path}: {key} must be {expected}, as {got[4:]}; got {shapes[key]}")
    return shapes


def list_v73(path: Path) -> dict[str, Variable]:
    """Variables of a MATLAB v7.3 file; links, structs and groups are left out."""
    with _open(path) as file:
        return {
            key: Variable(shape=file[key].shape[::-1], kind=_matlab_class(file[key]))
            for key in file
            if isinstance(file.get(key, getlink=True), h5py.HardLink)
            and isinstance(file[key], h5py.Dataset)
        }


def read_v73(path: Path, keys: Sequence[str]) -> dict[str, np.ndarray]:
    """Arrays with MATLAB's axes, H x W x C: python finds them reversed. char arrays as numbers.

    The caller has checked the sizes with list_v73. Raises: SceneError if one is not numeric.
    """
    with _open(path) as file:
        return {key: np.asarray(_dataset(path, file, key)[()]).T for key in keys}


def _matlab_class(dataset: Any) -> str:
    name = dataset.attrs.get("MATLAB_class")
    return name.decode("ascii", "replace") if isinstance(name, bytes) else str(dataset.dtype)
