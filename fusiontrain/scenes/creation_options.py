"""Creation options, tried on a small file before work; what the driver does not take is an error.

GDAL only warns of an unknown option or value, and goes on without it.
"""

import logging
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from fusiontrain.errors import SceneError
from fusiontrain.scenes.gdal_environment import WriteError, reason
from fusiontrain.scenes.gdal_writing import copy_as, create
from shards.console import one_line

_SIDE = 64  # pixels of the trial
_BLOCKS = ("BLOCKSIZE", "BLOCKXSIZE", "BLOCKYSIZE")
_MOST_BLOCK = 4096
# Arguments of rasterio's open: what is given for them would not come to the driver.
_RASTERIOS = frozenset(
    (
        *("FP", "MODE", "DRIVER", "WIDTH", "HEIGHT", "COUNT", "CRS", "TRANSFORM", "DTYPE"),
        *("NODATA", "SHARING", "OPENER", "GCPS", "RPCS"),
    )
)
# Of the COG driver: they make another grid than the PAN's, of any size, or another band.
_OF_GRID = frozenset(
    (
        *("TARGET_SRS", "TILING_SCHEME", "ZOOM_LEVEL", "ZOOM_LEVEL_STRATEGY", "RES", "EXTENT"),
        *("ALIGNED_LEVELS", "ADD_ALPHA", "WARP_RESAMPLING"),
    )
)


def check_creation_options(
    given: Mapping[str, str],
    profile: Mapping[str, Any],
    copied: tuple[str, Mapping[str, str]] | None,
) -> None:
    """Raises: SceneError naming the option of `given` that the driver does not take.

    profile: of the GeoTIFF to write, `given` included where the output is that GeoTIFF.
    copied: the driver that it is then copied by, and its options.
    """
    for name, value in given.items():
        _check(name, value)
    if not given:
        return
    small = dict(profile) | {"height": _SIDE, "width": _SIDE}
    pixels = np.ones((small["count"], _SIDE, _SIDE), small["dtype"])
    driver, options = copied or ("GTiff", {})
    try:
        with tempfile.TemporaryDirectory(prefix="panprior-") as folder, _warnings() as said:
            first = Path(folder) / "a.tif"
            with create(first, small) as file:
                file.write(pixels)
            if copied is not None:
                said.clear()
                copy_as(first, Path(folder) / "b.tif", driver, options)
    except (*WriteError, ValueError, TypeError) as error:
        shown = ", ".join(f"{name}={value}" for name, value in given.items())
        raise _refused(shown, f"{driver} cannot write with it: {reason(error)}") from error
    for line in said:
        for name, value in given.items():
            if re.search(rf"\b{re.escape(name)}\b", line, re.IGNORECASE):
                raise _refused(f"{name}={value}", re.sub(r"^CPLE_\w+ in ", "", one_line(line)))


def _check(name: str, value: str) -> None:
    shown = f"{name}={value}"
    if name.upper() in _RASTERIOS or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_:]*", name):
        raise _refused(shown, "it is no creation option")
    if name.upper() in _OF_GRID:
        reason = "the output has the PAN's grid and the MS's bands: warp it afterwards (gdalwarp)"
        raise _refused(shown, reason)
    if name.upper() in _BLOCKS:
        whole = value.strip().isascii() and value.strip().isdigit()
        if not whole or int(value) % 16 or not 16 <= int(value) <= _MOST_BLOCK:
            raise _refused(shown, f"a block is 16 to {_MOST_BLOCK} pixels a side, by steps of 16")


def _refused(shown: str, reason: str) -> SceneError:
    return SceneError(
        f"`creation_option` {shown}: {reason}\n"
        "  do: give one of the driver's, as its page at gdal.org lists them"
    )


@contextmanager
def _warnings() -> Iterator[list[str]]:
    """GDAL's warnings while the block runs; they come through rasterio's logger."""
    said: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    logger, handler = logging.getLogger("rasterio._env"), Kept(logging.WARNING)
    logger.addHandler(handler)
    before = logger.propagate
    logger.propagate = False
    try:
        yield said
    finally:
        logger.removeHandler(handler)
        logger.propagate = before
