"""Images that take long to decode, as JP2: each block is decoded once and kept on disk.

A job reads the sharp bands of a Sentinel-2 tile for every grid and in several passes; GDAL's cache
holds a part of one.
"""

import contextlib
import os
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import numpy as np

from fusiontrain.scenes.file_facts import FileFacts
from fusiontrain.scenes.raster import Raster

_DRIVER = "JP2OpenJPEG"
_LARGEST = 2**25  # bytes of a block


class UnpackedOnce:
    """An open image of one band, as Raster reads it.

    Blocks lie in an unnamed file, in the system's folder for such. Where that is full, blocks that
    are not in it are decoded as they are read.
    """

    def __init__(self, image: Any, kept: Any) -> None:
        self._image, self._kept = image, kept
        self._dtype = np.dtype(image.dtypes[0])
        self._side: tuple[int, int] = image.block_shapes[0]
        self._places: dict[tuple[int, int], int] = {}  # of a block: where it begins in the file
        self._end = 0
        self._full = False

    def read_masks(self, *, window: Any) -> Any:
        return self._image.read_masks(window=window)

    def read(self, bands: int | Sequence[int], *, window: Any, out_dtype: str) -> np.ndarray:
        """As rasterio's, for a window of whole pixels in the image."""
        top, left = int(window.row_off), int(window.col_off)
        bottom, right = top + int(window.height), left + int(window.width)
        out = np.empty((bottom - top, right - left), out_dtype)
        high, wide = self._side
        for row in range(top // high, -(-bottom // high)):
            first, end = max(top, row * high), min(bottom, row * high + high)
            for column in range(left // wide, -(-right // wide)):
                begin, stop = max(left, column * wide), min(right, column * wide + wide)
                part = self._rows(row, column, first - row * high, end - row * high)
                columns = slice(begin - column * wide, stop - column * wide)
                out[first - top : end - top, begin - left : stop - left] = part[:, columns]
        return out if isinstance(bands, int) else out[None]

    def _rows(self, row: int, column: int, first: int, end: int) -> np.ndarray:
        """Rows of a block."""
        high, wide = self._side
        height = min(high, self._image.height - row * high)
        width = min(wide, self._image.width - column * wide)
        place = self._places.get((row, column))
        if place is not None:
            line = width * self._dtype.itemsize
            data = os.pread(self._kept.fileno(), (end - first) * line, place + first * line)
            return np.frombuffer(data, self._dtype).reshape(end - first, width)
        rows, columns = (
            (start, start + side) for start, side in ((row * high, height), (column * wide, width))
        )
        block = self._image.read(1, window=(rows, columns))
        self._keep(row, column, block)
        kept: np.ndarray = block[first:end]
        return kept

    def _keep(self, row: int, column: int, block: np.ndarray) -> None:
        if self._full:
            return
        try:
            written = os.pwrite(self._kept.fileno(), block.tobytes(), self._end)
        except OSError:
            written = 0
        self._full = written < block.nbytes
        if not self._full:
            self._places[row, column] = self._end
            self._end += block.nbytes


def unpacked_once(stack: ExitStack, raster: Raster) -> Raster:
    """The raster, whose JP2 files of one band are decoded once while `stack` is open."""
    both = zip(raster.files, raster.facts, strict=True)
    return replace(raster, files=tuple(_unpacked(stack, *each) for each in both))


def _unpacked(stack: ExitStack, file: Any, facts: FileFacts) -> Any:
    if file.driver != _DRIVER or file.count > 1 or facts.block_bytes > _LARGEST:
        return file
    with contextlib.suppress(OSError):  # no folder can be written: decoded as it is read
        return UnpackedOnce(file, stack.enter_context(tempfile.TemporaryFile()))
    return file
