"""Datasets written and copied by GDAL, and read back to see that they are whole."""

import os
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.enums import Resampling
from rasterio.errors import NotGeoreferencedWarning
from rasterio.shutil import copy as copy_raster
from rasterio.windows import Window

from shards.atomic_write import publish, target_of, whole_file
from shards.signals import held_signals

# Bytes of chunks for overviews: in GDAL's own 10 MB eight bands do not fit, and are held whole.
_OVERVIEW_CHUNK = 200 * 2**20


@contextmanager
def create(path: Path, profile: Mapping[str, Any]) -> Iterator[Any]:
    """A dataset open for writing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        file = rasterio.open(path, "w", **profile)
    with file:
        yield file


def copy_as(source: Path, target: Path, driver: str, options: Mapping[str, Any]) -> None:
    """A whole copy by `driver` (COG: with overviews)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.Env(GDAL_OVR_CHUNK_MAX_SIZE=_OVERVIEW_CHUNK):  # here: options go by threads
            copy_raster(source, target, driver=driver, **options)


def check_whole(path: Path) -> None:
    """Read the last pixels of every band, overviews included: a file cut short does not pass."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path) as file:
            levels = len(file.overviews(1))
        for level in range(-1, levels):
            with rasterio.open(path, **({} if level < 0 else {"OVERVIEW_LEVEL": level})) as file:
                file.read(window=Window(file.width - 1, file.height - 1, 1, 1))


def read_small(
    path: Path, bands: Sequence[int], side: int
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """(C, h, w) of a file at most `side` pixels a side, (h, w) where it has data, and its grid.

    From overviews where there are any; averaged.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path) as file:
            factor = max(1.0, max(file.height, file.width) / side)
            h, w = (max(1, round(length / factor)) for length in (file.height, file.width))
            how: dict[str, Any] = {"indexes": list(bands), "out_shape": (len(bands), h, w)}
            image = file.read(**how, resampling=Resampling.average)
            valid = file.read_masks(**how).min(0) > 0
            if image.dtype.kind == "f":
                valid &= np.isfinite(image).all(0)
                image = np.where(valid, image, 0)
            grid: dict[str, Any] = {"count": len(bands), "height": h, "width": w, "crs": file.crs}
            if not file.transform.is_identity:
                scale = file.transform.scale(file.width / w, file.height / h)
                grid["transform"] = file.transform @ scale
    return image, valid, grid


def publish_with_sidecar(finished: Path, path: Path) -> None:
    """publish, after the .aux.xml that GDAL wrote beside it; one of an earlier file goes.

    Of a link it is beside the link too, where GDAL looks for it.
    """
    with finished.open("rb+") as file:
        os.fsync(file.fileno())
    new = _sidecar(finished)
    for sidecar in {_sidecar(path), _sidecar(target_of(path))}:
        if new.exists():
            with whole_file(sidecar) as file:
                file.write(new.read_bytes())
        elif path.exists():
            sidecar.unlink(missing_ok=True)
    publish(finished, path)


def _sidecar(path: Path) -> Path:
    return path.with_name(f"{path.name}.aux.xml")


def copy_interruptibly(source: Path, target: Path, driver: str, options: Mapping[str, Any]) -> None:
    """copy_as in a thread, so that a signal is answered meanwhile: GDAL does not look for any.

    On a signal `source` is cut to nothing, at which GDAL gives up, and the thread is waited for:
    one still in GDAL while the interpreter takes GDAL down has crashed the process.
    """
    caught: list[BaseException] = []
    # Not thread.join: Python 3.11's takes a thread for ended if a signal's exception falls into it.
    ended = threading.Event()

    def run() -> None:
        try:
            copy_as(source, target, driver, options)
        except BaseException as error:  # noqa: BLE001 - raised again below
            caught.append(error)
        finally:
            ended.set()

    thread = threading.Thread(target=run, daemon=True, name="writing COG")
    try:
        with held_signals():
            thread.start()
        while not ended.wait(0.1):
            pass
    except BaseException:
        os.truncate(source, 0)
        if thread.ident is not None:
            ended.wait()
        raise
    if caught:
        raise caught[0]
