"""GDAL's settings and errors, and what it can open."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError

from shards.console import one_line

# A local file; what GDAL reads: /vsi..., https://, s3://; or an open dataset of rasterio.
Source = Any

ReadError = (RasterioError, CPLE_BaseError)  # GDAL's own come through bare here and there
WriteError = (*ReadError, OSError)
_REMOTE = re.compile(r"/vsi[a-z0-9_]+/|[a-z][a-z0-9+]{1,20}://", re.IGNORECASE)
LEAST_CACHE, MOST_CACHE = 64 * 2**20, 256 * 2**20  # bytes
_SETTINGS = {
    "GDAL_CACHEMAX": MOST_CACHE,
    "GDAL_TIFF_INTERNAL_MASK": True,
    "GDAL_HTTP_CONNECTTIMEOUT": 20,
    "GDAL_HTTP_MAX_RETRY": 3,
    "GDAL_HTTP_RETRY_DELAY": 1,
}


@contextmanager
def gdal(threads: int | None = None) -> Iterator[None]:
    """GDAL's settings for the length of a block; `threads` of its codecs."""
    with rasterio.Env(**_SETTINGS, **({} if threads is None else {"GDAL_NUM_THREADS": threads})):
        yield


@contextmanager
def gdal_cache(rows: int) -> Iterator[None]:
    """GDAL's cache for the length of a block, so that it holds twice `rows`, bytes of windows.

    Files in strips are then decoded once for all windows side by side.
    """
    size = min(MOST_CACHE, max(LEAST_CACHE, 2 * rows + LEAST_CACHE // 2))
    with rasterio.Env(GDAL_CACHEMAX=size):
        yield


@contextmanager
def undecodable_messages() -> Iterator[None]:
    """Nothing is printed where GDAL's message holds bytes of a damaged file that are no text."""
    unraisable, uncaught = sys.unraisablehook, sys.excepthook

    # rasterio drops the message in a callback of GDAL's: a traceback by one hook, a line by both.
    def drop(raised: Any) -> None:
        if not isinstance(raised.exc_value, UnicodeDecodeError):
            unraisable(raised)

    def drop_traceback(kind: Any, error: Any, trace: Any) -> None:
        if not isinstance(error, UnicodeDecodeError):
            uncaught(kind, error, trace)

    sys.unraisablehook, sys.excepthook = drop, drop_traceback
    try:
        yield
    finally:
        sys.unraisablehook, sys.excepthook = unraisable, uncaught


def reason(error: BaseException) -> str:
    """Why reading or writing failed, in GDAL's or the system's words: one printable line."""
    return one_line(getattr(error, "strerror", None) or error.__cause__ or error)


def is_dataset(source: Source) -> bool:
    """Whether it is an open dataset of rasterio, a WarpedVRT or a file in memory included."""
    return hasattr(type(source), "mask_flag_enums")  # its values cannot be had once it is closed


def is_local(source: Source) -> bool:
    """Whether it is the path of a file, and neither a place of GDAL's nor an open dataset."""
    if isinstance(source, Path):
        return True
    return isinstance(source, str) and not _REMOTE.match(source)


def gdal_name(source: str) -> str:
    """The name that GDAL gets: /vsizip/a.zip/x.tif for zip://a.zip!x.tif."""
    match = re.fullmatch(r"(?:file\+)?(zip|tar)://(.+?)!/?(.+)", source, re.IGNORECASE)
    return f"/vsi{match[1].lower()}/{match[2]}/{match[3]}" if match else source


def name_of(source: Source) -> str:
    return str(source.name) if is_dataset(source) else str(source)
