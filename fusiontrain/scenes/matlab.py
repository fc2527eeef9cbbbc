"""MATLAB files: of the toolbox, and of NBU_PansharpRSData. The only scipy import.

Toolbox: I_PAN (H, W), I_MS_LR (h, w, C), optionally I_GT (H, W, C), sensor, ratio, L; I_MS is the
MS upsampled, and not used. Source: Vivone et al. 2021, IEEE GRSM 9(1):53-81.
NBU: MS_256/X.mat with imgMS or I_MS (h, w, C), PAN_1024/X.mat with imgPAN, I_PAN or block (H, W).
Source: Meng et al. 2021, IEEE GRSM 9(1):18-52.
"""

import math
import struct
import zlib
from collections.abc import Collection
from pathlib import Path

import numpy as np
from scipy.io import loadmat, whosmat
from scipy.io.matlab import MatReadError

from fusiontrain.errors import SceneError
from fusiontrain.scenes.metadata import (
    OVERSHOOT,
    as_tensor,
    assume_depth,
    check_depth,
    check_dn,
    check_size,
    guess_from_path,
)
from fusiontrain.scenes.pancollection import Variable, list_v73, read_v73
from fusiontrain.scenes.scene import Scene
from shards.sensors import GENERIC, Sensor, match_sensor

TOOLBOX_KEYS = ("I_MS_LR", "I_PAN")
_NUMERIC = {"double", "single"} | {f"{u}int{n}" for u in ("", "u") for n in (8, 16, 32, 64)}
_HDF5 = b"\x89HDF\r\n\x1a\n"
_MS_KEYS, _PAN_KEYS = ("imgMS", "I_MS"), ("imgPAN", "I_PAN", "block")
# TypeError and the like: scipy raises them for bytes that do not fit their header.
_BAD_FILE = (MatReadError, OSError, ValueError, TypeError, KeyError, zlib.error, OverflowError)

# Tags of version 5 files.
_MATRIX, _COMPRESSED = 14, 15
_SIZES = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8}  # type -> bytes a number
_TEXT = {16, 17, 18}  # UTF-8, -16, -32
_COMPLEX = 0x0800
_HEADER = 128  # bytes
_TAG_BYTES = 1024  # bytes of a variable that hold all its tags but the imaginary part's


def is_toolbox(path: Path) -> bool:
    """Whether the file has the toolbox's variables; False for what cannot be read."""
    try:
        variables = list_variables(path)
    except SceneError:
        return False
    return all(key in variables for key in TOOLBOX_KEYS)


def read_toolbox(path: Path, *, name: str, root: Path, sensor: Sensor | None = None) -> Scene:
    """One scene of the toolbox.

    `sensor` overrules the file's own variable, which overrules the names of file and folders.
    Raises: SceneError if variables are missing, not numeric, of other axes or ratio, or do not
            fit the bit depth L.
    """
    variables = list_variables(path)
    missing = [key for key in TOOLBOX_KEYS if key not in variables]
    if missing:
        others = ", ".join(sorted(variables)[:8]) or "nothing"
        raise SceneError(
            f"{path} has no {missing[0]}; expected I_MS_LR (h x w x C) and I_PAN (H x W), or a "
            f"folder with MS_256 and PAN_1024; it has {others}"
        )
    keys = [key for key in (*TOOLBOX_KEYS, "I_GT") if key in variables]
    check_size(name, *(variables[key].shape for key in keys))
    images = _load(path, variables, keys)
    named = match_sensor(_text(path, variables, "sensor"))
    row = sensor or named or guess_from_path(path, root) or GENERIC
    ms, pan = _bands_first(path, "I_MS_LR", images), _bands_first(path, "I_PAN", images)
    gt = _bands_first(path, "I_GT", images) if "I_GT" in images else None
    scene = _scene(name, row, ms, pan, gt, bits=_number(path, variables, "L"))
    ratio = _number(path, variables, "ratio")
    if ratio is not None and ratio != scene.ratio:
        raise SceneError(f"{path} says ratio {ratio}; its arrays have {scene.ratio}")
    return scene


def read_nbu(pan: Path, ms: Path, *, name: str, sensor: Sensor | None = None) -> Scene:
    """A pair of NBU_PansharpRSData, at full resolution. Raises: SceneError as read_toolbox does."""
    arrays = []
    for path, keys in ((ms, _MS_KEYS), (pan, _PAN_KEYS)):
        variables = list_variables(path)
        key = next((key for key in keys if key in variables), None)
        if key is None:
            raise SceneError(
                f"{path} has none of {', '.join(keys)}; it has "
                f"{', '.join(sorted(variables)[:8]) or 'nothing'}"
            )
        check_size(name, variables[key].shape)
        arrays.append(_bands_first(path, key, _load(path, variables, [key])))
    return _scene(name, sensor or GENERIC, arrays[0], arrays[1], None, phase_is_toolbox=False)


def list_variables(path: Path) -> dict[str, Variable]:
    """Shapes and classes, without reading an array. Raises: SceneError if it is no MATLAB file."""
    try:
        if _is_v73(path):
            return list_v73(path)
        return {name: Variable(shape=shape, kind=kind) for name, shape, kind in whosmat(path)}
    except (*_BAD_FILE, NotImplementedError) as error:
        raise SceneError(f"cannot read {path} as a MATLAB file: {error}") from error


def _is_v73(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(520)
    return head.startswith((b"MATLAB 7.3", _HDF5)) or head[512:] == _HDF5


def _load(path: Path, variables: dict[str, Variable], keys: list[str]) -> dict[str, np.ndarray]:
    for key in keys:
        if variables[key].kind not in _NUMERIC:
            raise SceneError(
                f"{path}: {key} is of class {variables[key].kind}; expected an array of numbers"
            )
    if _is_v73(path):
        return read_v73(path, keys)
    try:
        _check_tags(path, keys)
        arrays = loadmat(path, variable_names=keys)
        return {key: arrays[key] for key in keys}
    except _BAD_FILE as error:
        raise SceneError(f"{path} broke off while being read: {error}") from error


def _number(path: Path, variables: dict[str, Variable], key: str) -> int | None:
    """A scalar variable, if the file has it."""
    if key not in variables:
        return None
    shape = variables[key].shape
    value = (
        _load(path, variables, [key])[key] if shape in ((1, 1), (1,), ()) else np.array([np.nan])
    )
    number = float(value.item())
    if not number.is_integer() or not 1 <= number <= 16:
        raise SceneError(f"{path}: {key} must be one whole number, 1 to 16; got {number:g} {shape}")
    return int(number)


def _text(path: Path, variables: dict[str, Variable], key: str) -> str:
    """A short char variable, if the file has it, else nothing."""
    if (
        key not in variables
        or variables[key].kind != "char"
        or math.prod(variables[key].shape) > 64
    ):
        return ""
    if _is_v73(path):
        codes = read_v73(path, [key])[key].ravel()
        return "".join(chr(int(code)) for code in codes if code < 128)
    try:
        _check_tags(path, [key])
        return "".join(map(str, loadmat(path, variable_names=[key])[key].ravel()))
    except _BAD_FILE as error:
        raise SceneError(f"{path} broke off while being read: {error}") from error


def _bands_first(path: Path, key: str, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """(H, W) or (H, W, C) -> (C, H, W)."""
    image = arrays[key]
    if image.ndim == 2:
        return image[None]
    if image.ndim != 3 or image.shape[0] <= 32 < min(image.shape[1:]):
        raise SceneError(f"{path}: {key} must be H x W x C; got {image.shape}: permute its axes")
    return np.moveaxis(image, -1, 0)


def _scene(
    name: str,
    sensor: Sensor,
    ms: np.ndarray,
    pan: np.ndarray,
    gt: np.ndarray | None,
    *,
    bits: int | None = None,
    phase_is_toolbox: bool = True,
) -> Scene:
    images = [as_tensor(name, key, data) for key, data in (("MS", ms), ("PAN", pan))]
    truth = None if gt is None else as_tensor(name, "I_GT", gt)
    top = check_dn(name, *images)
    note = ""
    if bits is None:
        bits, note = assume_depth(sensor, top, slack=OVERSHOOT)
    scene = Scene(
        name=name,
        ms=images[0],
        pan=images[1],
        gt=truth,
        sensor=sensor,
        bits=bits,
        phase="toolbox" if phase_is_toolbox else "aligned",
        note=note,
    )
    check_depth(name, bits, *images, truth)
    return scene


def _check_tags(path: Path, keys: Collection[str]) -> None:
    """Raises: SceneError unless each of the variables is one real array as long as its tags say.

    scipy trusts the tags of version 5 files, and bad ones crash it.
    Source: MathWorks, MAT-File Level 5 File Format; numbers of types and flags are its own.
    """
    with path.open("rb") as file:
        head = file.read(_HEADER)
        if 0 in head[:4]:  # version 4, which scipy reads in plain python
            return
        order = "<" if head[126:128] == b"IM" else ">"
        while len(tag := file.read(8)) == 8:
            kind, length = struct.unpack(f"{order}II", tag)
            start = file.tell()
            body = file.read(min(length, _TAG_BYTES))
            if kind == _COMPRESSED:
                body = zlib.decompressobj().decompress(body, _TAG_BYTES)
                kind, body = struct.unpack(f"{order}I", body[:4])[0], body[8:]
            try:
                name, fault = _read_tags(body, order) if kind == _MATRIX else ("", "")
            except (struct.error, UnicodeDecodeError, IndexError):
                raise SceneError(f"{path} is damaged at byte {start}; fetch it again") from None
            if name in keys and fault:
                raise SceneError(f"{path}: {name} is damaged or no real array: {fault}")
            file.seek(start + length)


def _read_tags(body: bytes, order: str) -> tuple[str, str]:
    """(name, fault) of the variable whose first bytes these are; "" where there is none."""
    parts, at = [], 0
    for _ in range(3):  # flags, dimensions, name
        kind, length, begin, end = _tag(body, at, order)
        parts.append(body[begin : begin + length])
        at = end
    flags = struct.unpack(f"{order}I", parts[0][:4])[0]
    shape = struct.unpack(f"{order}{len(parts[1]) // 4}i", parts[1])
    name = parts[2].decode("ascii")
    if flags & _COMPLEX:
        return name, "it is complex"
    kind, length, _, _ = _tag(body, at, order)
    if kind in _TEXT:
        return name, ""
    if kind not in _SIZES:
        return name, f"numbers of type {kind}"
    expected = math.prod(shape) * _SIZES[kind]
    return name, "" if length == expected else f"{length} bytes where its shape needs {expected}"


def _tag(body: bytes, at: int, order: str) -> tuple[int, int, int, int]:
    """(type, bytes, first byte, where the next tag is)."""
    kind, length = struct.unpack_from(f"{order}II", body, at)
    if kind >> 16:  # up to four bytes fit into the tag itself
        return kind & 0xFFFF, kind >> 16, at + 4, at + 8
    return kind, length, at + 8, at + 8 + -(-length // 8) * 8
