"""Zips of images, listed by their central directory."""

import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

from simgen.errors import SourceError
from simgen.sources.source import is_image
from simgen.sources.table import Table

_ENCRYPTED = 0x1
_LONGEST_START = 4  # bytes before the first member: the mark of a zip in parts
_ABSURD = 1 << 40  # bytes
# What zipfile raises on directories that lie.
_DAMAGE = (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError, MemoryError)


def list_zip(table: Table, path: Path, keep: Callable[[str], bool]) -> None:
    """Add the images of a zip whose names `keep` wants.

    Raises: SourceError if it is no whole zip.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
        size = path.stat().st_size
    except (OSError, struct.error, *_DAMAGE) as error:
        raise SourceError(
            f"cannot read {path}: {error}\n  do: compare its size with the published one; "
            "a download that broke off has no directory at its end"
        ) from error
    # A zip that was cut just after a zip inside it ends in that one's directory.
    if infos and min(info.header_offset for info in infos) > _LONGEST_START:
        raise SourceError(
            f"cannot read {path}: its directory lists nothing of its beginning; expected a whole "
            "zip, got the end of one inside it\n  do: compare its size with the published one; "
            "the download broke off"
        )
    table.open_archive(path)
    for info in infos:
        if not is_image(info.filename) or not keep(info.filename):
            continue
        if info.flag_bits & _ENCRYPTED:
            table.reject(info.filename, "encrypted")
        elif info.file_size >= _ABSURD or info.header_offset + info.compress_size > size:
            table.reject(info.filename, f"claims {info.file_size} bytes; damaged zip")
        elif info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            table.reject(info.filename, f"compressed by method {info.compress_type}; expected 0, 8")
        elif info.compress_type == zipfile.ZIP_STORED and info.compress_size != info.file_size:
            table.reject(info.filename, "two sizes for one stored member; damaged zip")
        else:
            table.add_zipped(
                info.filename,
                info.header_offset,
                info.compress_size,
                info.file_size,
                crc=info.CRC,
                deflated=info.compress_type == zipfile.ZIP_DEFLATED,
            )
