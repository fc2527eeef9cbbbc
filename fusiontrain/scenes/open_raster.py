"""Files opened and checked: one with all its bands, or several single-band files stacked."""

import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NotGeoreferencedWarning

from fusiontrain.errors import SceneError
from fusiontrain.scenes.gdal_environment import ReadError, Source, is_local
from fusiontrain.scenes.raster import Raster

_DRIVERS = {".tif": "GTiff", ".tiff": "GTiff", ".jp2": "JP2OpenJPEG", ".vrt": "VRT"}


@contextmanager
def open_raster(paths: Source | Sequence[Source]) -> Iterator[Raster]:
    """One file with all its bands, or several single-band files stacked in this order.

    Raises: SceneError if a file cannot be read, holds colours instead of measurements, or (naming
            the odd one) if files to be stacked differ in size, CRS, transform, dtype or nodata.
    """
    paths = (paths,) if isinstance(paths, (Path, str)) else tuple(paths)
    if not paths:
        raise SceneError("no file is given; expected one, or one a band")
    with ExitStack() as stack:
        files = tuple(stack.enter_context(_open(path)) for path in paths)
        for path, file in zip(paths, files, strict=True):
            _check_contents(path, file)
        if len(files) > 1:
            _check_stack(paths, files)
        yield _without_alpha(paths, files)


def _open(path: Source) -> Any:
    suffix = Path(str(path).partition("?")[0]).suffix.lower()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)  # grid_alignment.py says so
            # A VRT names other files, so only a file named as one may be one.
            name = Path(path) if is_local(path) else str(path)
            return rasterio.open(name, driver=_DRIVERS.get(suffix))
    except (*ReadError, OSError, ValueError) as error:
        raise SceneError(f"cannot read {path}: {error}") from error


def _without_alpha(paths: tuple[Source, ...], files: tuple[Any, ...]) -> Raster:
    """The measurements, and the mask: a band that is truly an alpha, or the file's own."""
    masked = any(
        MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags
        for file in files
        for flags in file.mask_flag_enums
    )
    count = files[0].count if len(files) == 1 else len(files)
    all_bands = Raster(
        paths=paths, files=files, bands=tuple(range(1, count + 1)), alpha=None, masked=masked
    )
    if len(files) > 1 or count == 1 or files[0].colorinterp[-1] is not ColorInterp.alpha:
        return all_bands
    # Near infrared is often flagged as alpha; its values are not only 0 and full.
    values = np.unique(all_bands.pick([count]).sample()[0].numpy())
    full = 1.0 if files[0].dtypes[0].startswith("f") else float(np.iinfo(files[0].dtypes[0]).max)
    if not set(values.tolist()) <= {0.0, 1.0, 255.0, full}:
        return all_bands
    return replace(all_bands, bands=tuple(range(1, count)), alpha=count)


def _check_contents(path: Source, file: Any) -> None:
    if file.count == 0:
        raise SceneError(f"{path} has no bands of its own; expected a raster (name a subdataset)")
    if np.dtype(file.dtypes[0]).kind not in "uif" or len(set(file.dtypes)) != 1:
        raise SceneError(
            f"{path} must have one integer or float dtype for all bands; "
            f"got {', '.join(sorted(set(file.dtypes)))}"
        )
    if ColorInterp.palette in file.colorinterp:
        raise SceneError(
            f"{path} has a palette: its values are numbers of colours; expected measurements (DN): "
            "use the product before it was coloured"
        )
    # GDAL turns these into RGB(A) as it reads; only this item of metadata shows it.
    space = file.tags(ns="IMAGE_STRUCTURE").get("SOURCE_COLOR_SPACE", "YCbCr")
    if space != "YCbCr":
        raise SceneError(
            f"{path} is tagged as {space} and would be read as RGB made from it; expected plain "
            "bands: write it again as photometric minisblack, or correct its tag 262 to 1"
        )


def _check_stack(paths: tuple[Source, ...], files: tuple[Any, ...]) -> None:
    for path, file in zip(paths, files, strict=True):
        if file.count != 1:
            raise SceneError(
                f"files to be stacked must have one band each; {path} has {file.count}"
            )
    properties: dict[str, list[Any]] = {
        "size": [f"{file.height}x{file.width}" for file in files],
        "CRS": [str(file.crs) for file in files],
        "transform": [tuple(round(v, 9) for v in file.transform[:6]) for file in files],
        "dtype": [file.dtypes[0] for file in files],
        "nodata": [str(file.nodata) for file in files],
    }
    for name, values in properties.items():
        usual, _ = Counter(values).most_common(1)[0]
        for path, value in zip(paths, values, strict=True):
            if value != usual:
                raise SceneError(
                    f"files to be stacked must share their {name}; {path} has {value}, "
                    f"others have {usual}"
                )
