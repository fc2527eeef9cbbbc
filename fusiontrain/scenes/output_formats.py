"""The driver that writes a file of a given name, and what JPEG and PNG can hold."""

from pathlib import Path

import numpy as np

from fusiontrain.errors import SceneError

FORMATS = ("COG", "GTiff", "JPEG", "PNG")
PICTURES = ("JPEG", "PNG")
_BY_SUFFIX = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG"}
_OTHERS = (  # of formats that GDAL has and this does not write
    *(".jp2", ".j2k", ".img", ".vrt", ".nc", ".hdf", ".h5", ".ntf", ".nitf", ".webp", ".gif"),
    *(".bmp", ".asc", ".ecw", ".sid", ".pix", ".rst", ".gpkg", ".mbtiles", ".pdf", ".hdr", ".mat"),
    *(".zarr", ".heic", ".avif", ".jxl"),
)
_SIDES = {"JPEG": 65_500, "PNG": 2**31 - 1}  # pixels
_DTYPES = {"JPEG": ("uint8",), "PNG": ("uint8", "uint16")}


def is_raster_name(path: Path) -> bool:
    """Whether its suffix is a raster's, written here or not."""
    return path.suffix.lower() in (".tif", ".tiff", *_BY_SUFFIX, *_OTHERS)


def format_of(path: Path, given: str | None) -> str:
    """COG, unless the suffix is a picture's. Raises: SceneError if name and format disagree."""
    suffix = path.suffix.lower()
    by_suffix = _BY_SUFFIX.get(suffix)
    if suffix in _OTHERS:
        raise SceneError(
            f"{path} is named as a format that is not written; expected .tif, .jpg or .png: name "
            "it .tif and convert that (gdal_translate)"
        )
    if given is None:
        return by_suffix or "COG"
    if given not in FORMATS:
        raise SceneError(f"`format` is {', '.join(FORMATS)}; got {given!r}")
    expected = by_suffix or (None if given in PICTURES else given)
    if given != expected:
        names = {"JPEG": ".jpg", "PNG": ".png"}.get(given, ".tif")
        raise SceneError(f"`format={given}` and {path} disagree; expected a name ending in {names}")
    return given


def check_picture(driver: str, path: Path, bands: int, dtype: np.dtype, *sides: int) -> None:
    """Raises: SceneError if the picture's format cannot hold these pixels."""
    if driver not in PICTURES:
        return
    dtypes = _DTYPES[driver]
    if bands not in (1, 3) or dtype.name not in dtypes:
        raise SceneError(
            f"{path}: {driver} holds 1 or 3 bands of {' or '.join(dtypes)}; got {bands} of "
            f"{dtype}: give `bands`, as 3,2,1, and `scale`, as 2%,98% (with `dtype=uint8`); or "
            "name the output .tif and the picture with `quicklook`"
        )
    if max(sides) > _SIDES[driver]:
        got = " x ".join(map(str, sides))
        raise SceneError(
            f"{path}: {driver} holds {_SIDES[driver]} pixels a side; got {got}: "
            "name the output .tif"
        )
