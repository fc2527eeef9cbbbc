"""Where a TIFF says its blocks lie: checked before GDAL reads, which gives garbage for some of it.

Source: TIFF 6.0, pages 13-16, 39-40 and 66-69; BigTIFF, libtiff.gitlab.io/libtiff.
"""

import re
import struct
import tarfile
import zipfile
import zlib
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from fusiontrain.errors import SceneError

_WIDTH, _HEIGHT, _SAMPLES, _ROWS, _PLANAR = 256, 257, 277, 278, 284
_STRIPS, _TILES = (273, 279), (324, 325)  # tags of offsets, of counts of bytes
_TILE_WIDTH, _TILE_HEIGHT = 322, 323
_TYPES = {3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}  # SHORT, LONG, IFD, LONG8, IFD8
_MOST_IMAGES, _MOST_TAGS, _MOST_BLOCKS = 64, 4096, 2**26
_ARCHIVED = re.compile(r"/vsi(zip|tar)/(.+)", re.IGNORECASE)
_NO_ARCHIVE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, NotImplementedError)
_DAMAGED = "the file is damaged or cut short; copy it again"


@dataclass(frozen=True, slots=True)
class _Header:
    order: str  # of bytes, as struct and numpy write it
    big: bool  # BigTIFF

    @property
    def word(self) -> str:
        return "Q" if self.big else "I"

    @property
    def inline(self) -> int:
        """Bytes of a value that stands in its tag."""
        return 8 if self.big else 4


def check_blocks(path: Path) -> None:
    """Raises: SceneError if a block of a TIFF lies beyond the file, or their lists do not fit.

    Blocks of no bytes at no place are those of sparse files, which GDAL fills. Other files pass.
    """
    try:
        with path.open("rb") as file:
            _check(path, file, path.stat().st_size)
    except (OSError, ValueError, struct.error) as error:
        raise SceneError(f"cannot read {path}: {error}: {_DAMAGED}") from error


def check_archived_blocks(name: str) -> None:
    """The same of /vsizip/ARCHIVE/FILE and /vsitar/ARCHIVE/FILE, where ARCHIVE is a local file.

    Nothing is unpacked to the disk. Archives that are damaged or elsewhere are left to GDAL.
    """
    match = _ARCHIVED.fullmatch(name)
    if match is None:
        return
    kind, place = match[1].lower(), Path(match[2].replace("{", "").replace("}", ""))
    archive = next((parent for parent in place.parents if parent.is_file()), None)
    if archive is None:
        return
    member = str(place.relative_to(archive))
    found: Any
    try:
        with ExitStack() as stack:
            if kind == "zip":
                whole = stack.enter_context(zipfile.ZipFile(archive))
                size, found = whole.getinfo(member).file_size, whole.open(member)
            else:
                tar = stack.enter_context(tarfile.open(archive))
                size, found = tar.getmember(member).size, tar.extractfile(member)
            if found is not None:
                _check(name, stack.enter_context(found), size)
    except (KeyError, OSError, RuntimeError, *_NO_ARCHIVE):
        return
    except (ValueError, struct.error) as error:
        raise SceneError(f"cannot read {name}: {error}: {_DAMAGED}") from error


def _check(path: Path | str, file: Any, size: int) -> None:
    header, first = _header(file)
    if header is not None:
        _check_images(path, file, header, first, size)


def _header(file: BinaryIO) -> tuple[_Header | None, int]:
    start = file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(start[:2])
    if order is None or len(start) < 8:
        return None, 0
    version = struct.unpack(order + "H", start[2:4])[0]
    if version == 42:
        return _Header(order, big=False), struct.unpack(order + "I", start[4:8])[0]
    if version == 43 and len(start) == 16:
        return _Header(order, big=True), struct.unpack(order + "Q", start[8:16])[0]
    return None, 0


def _check_images(path: Path | str, file: BinaryIO, header: _Header, place: int, size: int) -> None:
    """Every image of the file: overviews and masks too."""
    for _ in range(_MOST_IMAGES):
        if place == 0:
            return
        tags, place = _tags(file, header, place)
        offsets_tag, bytes_tag = _TILES if _TILES[0] in tags else _STRIPS
        if offsets_tag not in tags or bytes_tag not in tags:
            continue  # GDAL says so itself, or one strip without a count
        count = _block_count(file, header, tags, tiled=offsets_tag == _TILES[0])
        if not 0 < count <= _MOST_BLOCKS:
            raise SceneError(f"cannot read {path}: it claims {count} blocks: {_DAMAGED}")
        offsets = _values(file, header, tags[offsets_tag], count, size)
        lengths = _values(file, header, tags[bytes_tag], count, size)
        if offsets is None or lengths is None:
            raise SceneError(
                f"cannot read {path}: it has {count} blocks, but no list of where they lie: "
                f"{_DAMAGED}"
            )
        sparse = (offsets == 0) & (lengths == 0)
        wrong = ~sparse & ((offsets < 8) | (offsets >= size) | (lengths == 0) | (lengths > size))
        if wrong.any():
            block = int(wrong.argmax())
            raise SceneError(
                f"cannot read {path}: block {block} of {count} would be {lengths[block]} bytes at "
                f"{offsets[block]} of a file of {size}: {_DAMAGED}"
            )


def _tags(
    file: BinaryIO, header: _Header, place: int
) -> tuple[dict[int, tuple[int, int, bytes]], int]:
    """Tag -> (type, count, its value or where that lies); and the place of the next image."""
    count_format = header.order + ("Q" if header.big else "H")
    entry_format = header.order + ("HHQ8s" if header.big else "HHI4s")
    file.seek(place)
    (count,) = struct.unpack(count_format, file.read(struct.calcsize(count_format)))
    if count > _MOST_TAGS:
        raise ValueError(f"{count} tags in one image")
    step = struct.calcsize(entry_format)
    data = file.read(count * step + struct.calcsize(header.word))
    tags: dict[int, tuple[int, int, bytes]] = {}
    for i in range(count):
        tag, kind, length, value = struct.unpack_from(entry_format, data, i * step)
        tags.setdefault(tag, (kind, length, value))
    return tags, struct.unpack_from(header.order + header.word, data, count * step)[0]


def _values(
    file: BinaryIO, header: _Header, tag: tuple[int, int, bytes], count: int, size: int
) -> np.ndarray | None:
    """The first `count` numbers of a tag; None if it has fewer, no numbers, or lies elsewhere."""
    kind, length, value = tag
    if kind not in _TYPES or length < count:
        return None
    dtype = np.dtype(header.order + _TYPES[kind])
    if length * dtype.itemsize <= header.inline:
        return np.frombuffer(value, dtype, count).astype(np.uint64)
    (place,) = struct.unpack(header.order + header.word, value)
    if place + count * dtype.itemsize > size:
        return None
    file.seek(place)
    return np.frombuffer(file.read(count * dtype.itemsize), dtype, count).astype(np.uint64)


def _block_count(
    file: BinaryIO, header: _Header, tags: dict[int, tuple[int, int, bytes]], *, tiled: bool
) -> int:
    def number(tag: int, default: int = 0) -> int:
        if tag not in tags:
            return default
        values = _values(file, header, tags[tag], 1, 2**63)
        return default if values is None else int(values[0])

    width, height = number(_WIDTH), number(_HEIGHT)
    planes = number(_SAMPLES, 1) if number(_PLANAR, 1) == 2 else 1
    if tiled:
        across, down = number(_TILE_WIDTH), number(_TILE_HEIGHT)
        return -(-width // across) * -(-height // down) * planes if across and down else 0
    rows = min(number(_ROWS, height) or height, height)
    return -(-height // rows) * planes if rows else 0
