"""GDAL's settings and errors, and what it can open."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError

Source = Path | str  # a local file; or what GDAL reads: /vsi..., https://, s3://

ReadError = (RasterioError, CPLE_BaseError)  # GDAL's own come through bare here and there
WriteError = (*ReadError, OSError)
_REMOTE = re.compile(r"/vsi[a-z0-9_]+/|[a-z][a-z0-9+]{1,20}://", re.IGNORECASE)
_SETTINGS = {
    "GDAL_CACHEMAX": 256 * 2**20,
    "GDAL_TIFF_INTERNAL_MASK": True,
    "GDAL_HTTP_CONNECTTIMEOUT": 20,
    "GDAL_HTTP_MAX_RETRY": 3,
    "GDAL_HTTP_RETRY_DELAY": 1,
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
}


@contextmanager
def gdal(threads: int | None = None) -> Iterator[None]:
    """GDAL's settings for the length of a block; `threads` of its codecs."""
    with rasterio.Env(**_SETTINGS, **({} if threads is None else {"GDAL_NUM_THREADS": threads})):
        yield


def is_local(path: Source) -> bool:
    return isinstance(path, Path) or not _REMOTE.match(path)
