"""An 8-bit picture of a fused file, for looking at: red, green and blue, stretched."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fusiontrain.errors import SceneError
from fusiontrain.scenes.gdal_environment import WriteError, reason
from fusiontrain.scenes.gdal_writing import (
    check_whole,
    copy_interruptibly,
    create,
    publish_with_sidecar,
    read_small,
)
from fusiontrain.scenes.output_formats import format_of
from shards.atomic_write import check_place, remove_leftovers, temporary_path

SIDE = 2048  # pixels of the longer side, at most
PERCENTILES = (1, 99)  # and gamma: those of the benchmark's pictures (evaluation/rendering.py)
GAMMA = 0.75


def check_quicklook(path: Path) -> None:
    """Raises: SceneError if its suffix is no picture's; OutputError as check_place."""
    if path.suffix.lower() not in (".png", ".tif", ".tiff", ".jpg", ".jpeg"):
        raise SceneError(f"`quicklook` is a .png, .tif or .jpg; got {path}")
    check_place(path)


def write_quicklook(path: Path, fused: Path, bands: Sequence[int]) -> None:
    """A picture of `bands` (three, or one) of the file `fused`, at most SIDE pixels a side.

    It is read from overviews where there are any, else averaged row by row, so that memory does
    not grow with the scene. Each band is cut at PERCENTILES of its valid pixels. Missing pixels
    are 0 (transparent in PNG). With the place of `fused`; JPEG and PNG have it in .aux.xml.
    Raises: SceneError if it cannot be written; as check_quicklook.
    """
    check_quicklook(path)
    image, valid, profile = read_small(fused, bands, SIDE)
    shown = stretched(image, valid)
    driver = format_of(path, None)
    missing = 0 if driver != "JPEG" and not valid.all() else None
    remove_leftovers(path)
    folder = temporary_path(path)
    try:
        folder.mkdir()
        first = folder / "small.tif"
        colours = {"photometric": "RGB"} if len(bands) == 3 else {}
        options = {"driver": "GTiff", "dtype": "uint8", "compress": "deflate", "nodata": missing}
        with create(first, profile | options | colours) as file:
            file.write(shown)
        if driver in ("JPEG", "PNG"):
            last = folder / f"small{path.suffix.lower()}"
            quality = {"QUALITY": "90"} if driver == "JPEG" else {}
            copy_interruptibly(first, last, driver, quality)
            first = last
        check_whole(first)
        publish_with_sidecar(first, path)
    except WriteError as error:
        raise SceneError(f"cannot write {path}: {reason(error)}: is the disk full?") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def stretched(image: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """(C, H, W) DN -> uint8: 1 to 255 where `valid` (H, W), 0 elsewhere."""
    shown = np.zeros(image.shape, np.uint8)
    if not valid.any():
        return shown
    for band, values in enumerate(image.astype(np.float32, copy=False)):
        low, high = np.percentile(values[valid], PERCENTILES)
        share = np.clip((values - low) / max(high - low, 1e-6 * max(1.0, abs(low))), 0, 1)
        shown[band] = np.where(valid, np.rint(1 + 254 * share**GAMMA), 0)
    return shown
