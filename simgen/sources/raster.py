"""GeoTIFFs as measurements: any number of bands, any depth, read by windows; and written.

The only rasterio import of simgen.
"""

import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import MemoryFile
from rasterio.transform import Affine
from rasterio.windows import Window

from shards.console import one_line
from shards.schema import MAX_BANDS
from simgen.errors import SourceError

_DEPTHS = (8, 10, 11, 12, 14, 16)
_READ_WHOLE = 64_000_000  # values: a smaller file is read once to see that it is whole
_STRIP = 1_000_000  # values
_MAX_BLOCK = 1 << 29  # bytes of the stretch that GDAL unpacks at a time
_MAX_SIDE = 1 << 20
_HUGE = 2.0**64  # of -3.4e38, which fills float rasters, and the like: no readings
_PROBES, _PROBE = 4, 128  # windows a side, pixels a window: what radiometry is judged by

File = Path | bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Raster:
    """What a file holds. A photograph (8 bits, grey, RGB or palette) has no measurements."""

    height: int
    width: int
    bands: tuple[int, ...]  # GDAL's numbers of those that are measurements, without alpha
    is_photograph: bool
    nodata: float | None
    dtype: str


def inspect(file: File) -> Raster:
    """The header alone. SourceError if it is no TIFF, or claims what would not fit in memory."""
    with _opened(file) as tiff:
        dtypes = {str(dtype) for dtype in tiff.dtypes}
        bands = tuple(i for i, c in enumerate(tiff.colorinterp, 1) if c is not ColorInterp.alpha)
        palette = ColorInterp.palette in tiff.colorinterp
        if max(tiff.height, tiff.width) > _MAX_SIDE or len(bands) > MAX_BANDS:
            raise SourceError(f"claims {tiff.count} bands of {tiff.width}x{tiff.height} pixels")
        if any(np.dtype(dtype).kind not in "uif" for dtype in dtypes if not palette):
            raise SourceError(f"holds {', '.join(sorted(dtypes))}; expected real numbers")
        values = tiff.count if tiff.interleaving.name == "pixel" else 1
        for (rows, columns), dtype in zip(tiff.block_shapes, tiff.dtypes, strict=True):
            if rows * columns * values * np.dtype(dtype).itemsize > _MAX_BLOCK:
                raise SourceError(
                    f"is stored in blocks of {columns}x{rows} pixels; write it in tiles"
                )
        return Raster(
            height=tiff.height,
            width=tiff.width,
            bands=bands,
            is_photograph=palette or (dtypes == {"uint8"} and len(bands) in (1, 3)),
            nodata=None if tiff.nodata is None else float(tiff.nodata),
            dtype=str(tiff.dtypes[0]),
        )


def bit_depth(file: File, raster: Raster) -> int:
    """Bit depth of the measurements; 0 if they are reflectances, about 0 to 1.

    A file says it by its NBITS tag; else the largest of some thousands of values does.
    Raises: SourceError if what it holds is mostly nodata, or does not read.
    """
    with _opened(file) as tiff:
        small = raster.height * raster.width * len(raster.bands) <= _READ_WHOLE
        values, empty, brightest = 0, 0, -np.inf
        for window in _strips(raster) if small else _probes(raster):
            part = _read(tiff, raster, window)
            found = part[~np.isnan(part)]
            values, empty = values + part.size, empty + part.size - found.size
            brightest = max(brightest, float(found.max(initial=-np.inf)))
        nbits = tiff.tags(raster.bands[0], ns="IMAGE_STRUCTURE").get("NBITS", "")
    if empty > 0.5 * values:
        raise SourceError(f"{100 * empty / values:.0f} % of it is nodata")
    dtype = np.dtype(raster.dtype)
    if dtype.kind == "f" and brightest <= 2:
        return 0
    if nbits.isdecimal() and 1 <= int(nbits) <= 16:
        return int(nbits)
    if dtype.itemsize == 1:
        return 8
    needed = int(max(1.0, np.ceil(brightest))).bit_length()
    return next((depth for depth in _DEPTHS if depth >= needed), needed)


def read_window(
    file: File, raster: Raster, bits: int, window: tuple[int, int, int, int]
) -> np.ndarray:
    """(h, w, C) float32 in 0..1 of (row, column, height, width); nodata is 0."""
    row, column, height, width = window
    with _opened(file) as tiff:
        data = _read(tiff, raster, Window(column, row, width, height))
    scaled = np.nan_to_num(data, nan=0.0) / np.float32(2**bits - 1 if bits else 1)
    return np.ascontiguousarray(np.clip(scaled, 0, 1).transpose(1, 2, 0))


def read_numbers(file: File, raster: Raster, window: tuple[int, int, int, int]) -> np.ndarray:
    """(C, h, w) float32 digital numbers of (row, column, height, width); nodata is NaN."""
    row, column, height, width = window
    with _opened(file) as tiff:
        return _read(tiff, raster, Window(column, row, width, height))


def geotiff(image_CHW: np.ndarray, pixel: int) -> bytes:
    """The file of a uint16 image at a made-up place, `pixel` metres a pixel."""
    count, height, width = image_CHW.shape
    profile = {
        "driver": "GTiff",
        "count": count,
        "height": height,
        "width": width,
        "dtype": "uint16",
        "crs": "EPSG:32631",
        "transform": Affine(pixel, 0, 500_000, 0, -pixel, 5_000_000),
        "compress": "deflate",
        "predictor": 2,
    }
    with rasterio.Env(), MemoryFile() as memory:
        with memory.open(**profile) as file:
            file.write(image_CHW)
        return bytes(memory.read())


def _read(tiff: Any, raster: Raster, window: Any) -> np.ndarray:
    try:
        data = tiff.read(list(raster.bands), window=window, out_dtype="float32")
    except (RasterioError, ValueError, MemoryError) as error:
        why = one_line(error.__cause__ or error)
        raise SourceError(f"breaks off while being read: {why}") from error
    if raster.nodata is not None:
        data[data == np.float32(raster.nodata)] = np.nan
    data[~(np.abs(data) < _HUGE)] = np.nan
    return np.asarray(data)


def _strips(raster: Raster) -> Iterator[Any]:
    """The whole, in pieces that cost little memory whatever the header claims."""
    rows = max(1, _STRIP // (raster.width * len(raster.bands)))
    for row in range(0, raster.height, rows):
        yield Window(0, row, raster.width, min(rows, raster.height - row))


def _probes(raster: Raster) -> Iterator[Any]:
    for i in range(_PROBES):
        for j in range(_PROBES):
            row = i * max(0, raster.height - _PROBE) // (_PROBES - 1)
            column = j * max(0, raster.width - _PROBE) // (_PROBES - 1)
            yield Window(column, row, min(_PROBE, raster.width), min(_PROBE, raster.height))


@contextmanager
def _opened(file: File) -> Iterator[Any]:
    # GTiff alone, and no side files: a VRT or an .aux.xml could point anywhere.
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        stack.enter_context(rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"))
        try:
            if isinstance(file, bytes):
                memory = stack.enter_context(MemoryFile(file))
                tiff = stack.enter_context(memory.open(driver="GTiff"))
            else:
                tiff = stack.enter_context(rasterio.open(file.absolute(), driver="GTiff"))
        except RasterioError as error:
            raise SourceError(f"is no readable TIFF: {one_line(error)}") from error
        yield tiff
