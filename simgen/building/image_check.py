"""Check an image before DALI decodes it: one bad image would end a whole pipeline.

Multiband images never reach DALI's decoders, which would make 8-bit RGB of them.
"""

import io
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from simgen.errors import SourceError
from simgen.sources import Photo
from simgen.sources.byte_ranges import File

_MAGIC = re.compile(rb"II[*+]\0|MM\0[*+]")  # classic and BigTIFF, both byte orders
FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "PPM")


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """Size of a usable image, or why it is none."""

    height: int = 0
    width: int = 0
    channels: int = 3
    reason: str = ""

    @property
    def usable(self) -> bool:
        return not self.reason


def check_encoded(data: bytes, *, min_side: int, max_pixels: int) -> Verdict:
    """Header first (format, size), then a full decode; nothing is allocated for a huge header."""
    if not data:
        return Verdict(reason="empty file (0 bytes)")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own size warning; our limit is stricter
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                width, height = image.size
                if width * height > max_pixels:
                    return Verdict(reason=f"{width}x{height} exceeds {max_pixels} pixels")
                if min(width, height) < min_side:
                    return Verdict(reason=f"{width}x{height} is under {min_side} pixels a side")
                # Read to its end, but not turned into all its pixels: JPEG at an eighth.
                image.draft(None, (width // 8, height // 8))
                image.load()
    except UnidentifiedImageError:
        return Verdict(reason=f"not an image of a known format ({', '.join(FORMATS)})")
    except Image.DecompressionBombError as error:
        return Verdict(reason=f"header claims too many pixels: {error}")
    except Exception as error:  # noqa: BLE001 - a decoder may raise anything
        return Verdict(reason=f"does not decode: {error}")
    return Verdict(height=height, width=width)


def read_photograph(data: bytes, window: tuple[int, int, int, int]) -> np.ndarray:
    """(h, w, 3) float32 in 0..1 of (row, column, height, width), by Pillow: what DALI refuses.

    For images that passed check_encoded(). Raises: SourceError if Pillow's pixels are not its own.
    """
    row, column, height, width = window
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if image.mode[0] in "IF":  # deeper than 8 bits: convert() would clip, not scale
                raise SourceError(f"DALI does not decode it, and Pillow not its mode {image.mode}")
            try:
                seen = image.convert("RGB").crop((column, row, column + width, row + height))
            except Exception as error:
                raise SourceError(f"does not decode: {error}") from error
    return np.asarray(seen, np.float32) / np.float32(255)


@dataclass(frozen=True, kw_only=True, slots=True)
class EncodedImage:
    """A photograph's bytes, for DALI."""

    verdict: Verdict
    data: bytes = b""


@dataclass(frozen=True, kw_only=True, slots=True)
class MultibandImage:
    """Bands as they are, read by windows."""

    verdict: Verdict
    photo: Photo
    raster: Any
    bits: int

    def crop(self, window: tuple[int, int, int, int]) -> np.ndarray:
        """(h, w, C) float32 in 0..1 of (row, column, height, width)."""
        from simgen.sources.raster import read_window

        return read_window(_file(self.photo), self.raster, self.bits, window)


def examine(
    photo: Photo, *, min_side: int, max_pixels: int, max_bytes: int
) -> EncodedImage | MultibandImage:
    """The image as the pipeline wants it, or with a verdict that says why it is unusable."""
    try:
        start = photo.place.start() if isinstance(photo.place, File) else b""
        tiff = _MAGIC.match(start) is not None
        # A TIFF in a file of its own is read by windows, however large.
        if not tiff and photo.size > max_bytes:
            return EncodedImage(verdict=Verdict(reason=f"{photo.size} bytes exceed {max_bytes}"))
        data = b"" if tiff else photo.read()
        if tiff or _MAGIC.match(data):
            image = _multiband(photo, data, min_side)
            if image is not None:
                return image
        if photo.size > max_bytes or len(data) > max_bytes:
            size = max(photo.size, len(data))
            return EncodedImage(verdict=Verdict(reason=f"{size} bytes exceed {max_bytes}"))
        data = data or photo.read()
    except SourceError as error:
        return EncodedImage(verdict=Verdict(reason=str(error)))
    verdict = check_encoded(data, min_side=min_side, max_pixels=max_pixels)
    return EncodedImage(verdict=verdict, data=data if verdict.usable else b"")


def _multiband(photo: Photo, data: bytes, min_side: int) -> MultibandImage | None:
    """None if the TIFF is a photograph after all. Raises: SourceError if it does not read."""
    from simgen.sources.raster import bit_depth, inspect  # rasterio loads only for TIFFs

    file = data or _file(photo)
    raster = inspect(file)
    if raster.is_photograph:
        return None
    height, width, channels = raster.height, raster.width, len(raster.bands)
    if channels < 3:
        raise SourceError(f"{channels} bands of {raster.dtype}; expected at least 3 to mix from")
    if min(width, height) < min_side:
        raise SourceError(f"{width}x{height} is under {min_side} pixels a side")
    return MultibandImage(
        verdict=Verdict(height=height, width=width, channels=channels),
        photo=photo,
        raster=raster,
        bits=bit_depth(file, raster),
    )


def _file(photo: Photo) -> Path | bytes:
    return photo.place.path if isinstance(photo.place, File) else photo.read()
