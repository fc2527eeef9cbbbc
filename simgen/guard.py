"""Judge an image before DALI sees it: one bad image would end a whole pipeline."""

import io
import warnings
from dataclasses import dataclass

from PIL import Image, UnidentifiedImageError

FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "PPM")


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """Size of a usable image, or why it is none."""

    height: int = 0
    width: int = 0
    reason: str = ""

    @property
    def usable(self) -> bool:
        return not self.reason


def judge(data: bytes, *, min_side: int, max_pixels: int) -> Verdict:
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
                image.load()
    except UnidentifiedImageError:
        return Verdict(reason=f"not an image of a known format ({', '.join(FORMATS)})")
    except Image.DecompressionBombError as error:
        return Verdict(reason=f"header claims too many pixels: {error}")
    except Exception as error:  # noqa: BLE001 - a decoder may raise anything
        return Verdict(reason=f"does not decode: {error}")
    return Verdict(height=height, width=width)
