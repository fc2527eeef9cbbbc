"""A look at MATLAB v5 files before scipy reads them: it trusts their tags, and bad ones crash it.

Source: MathWorks, MAT-File Level 5 File Format. Numbers of types and flags are its own.
"""

import math
import struct
import zlib
from collections.abc import Collection
from pathlib import Path

from fusiontrain.errors import SceneError

_MATRIX, _COMPRESSED = 14, 15
_SIZES = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8}  # type -> bytes a number
_TEXT = {16, 17, 18}  # UTF-8, -16, -32
_COMPLEX = 0x0800
_HEADER = 128  # bytes
_ENOUGH = 1024  # bytes of a variable that hold all its tags but the imaginary part's


def check_tags(path: Path, keys: Collection[str]) -> None:
    """Raises: SceneError unless each of the variables is one real array as long as it says."""
    with path.open("rb") as file:
        head = file.read(_HEADER)
        if 0 in head[:4]:  # version 4, which scipy reads in plain python
            return
        order = "<" if head[126:128] == b"IM" else ">"
        while len(tag := file.read(8)) == 8:
            kind, length = struct.unpack(f"{order}II", tag)
            start = file.tell()
            body = file.read(min(length, _ENOUGH))
            if kind == _COMPRESSED:
                body = zlib.decompressobj().decompress(body, _ENOUGH)
                kind, body = struct.unpack(f"{order}I", body[:4])[0], body[8:]
            try:
                name, fault = _look(body, order) if kind == _MATRIX else ("", "")
            except (struct.error, UnicodeDecodeError, IndexError):
                raise SceneError(f"{path} is damaged at byte {start}; fetch it again") from None
            if name in keys and fault:
                raise SceneError(f"{path}: {name} is damaged or no real array: {fault}")
            file.seek(start + length)


def _look(body: bytes, order: str) -> tuple[str, str]:
    """(name, what is wrong) of the variable whose first bytes these are."""
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
    wanted = math.prod(shape) * _SIZES[kind]
    return name, "" if length == wanted else f"{length} bytes where its shape needs {wanted}"


def _tag(body: bytes, at: int, order: str) -> tuple[int, int, int, int]:
    """(type, bytes, first byte, where the next tag is)."""
    kind, length = struct.unpack_from(f"{order}II", body, at)
    if kind >> 16:  # up to four bytes fit into the tag itself
        return kind & 0xFFFF, kind >> 16, at + 4, at + 8
    return kind, length, at + 8, at + 8 + -(-length // 8) * 8
