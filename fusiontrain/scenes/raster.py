"""GeoTIFFs, read and written: bands of one or more files. The only rasterio import."""

import math
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from affine import Affine
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window
from torch import Tensor

from fusiontrain.errors import SceneError
from fusiontrain.tiles import Box
from shards.commit import publish, temporary_path

_BLOCK = 256
_THUMBNAIL = 512  # pixels a side

_DRIVERS = {".tif": "GTiff", ".tiff": "GTiff", ".jp2": "JP2OpenJPEG"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Raster:
    """Open bands on one grid: all of one file, or one of each of several."""

    paths: tuple[Path, ...]
    files: tuple[Any, ...] = field(repr=False)

    @property
    def name(self) -> str:
        more = f" (and {len(self.paths) - 1} more)" if len(self.paths) > 1 else ""
        return f"{self.paths[0]}{more}"

    @property
    def count(self) -> int:
        return sum(int(file.count) for file in self.files)

    @property
    def height(self) -> int:
        return int(self.files[0].height)

    @property
    def width(self) -> int:
        return int(self.files[0].width)

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(self.files[0].dtypes[0])

    @property
    def nodata(self) -> float | None:
        nodata = self.files[0].nodata
        return None if nodata is None else float(nodata)

    @property
    def crs(self) -> Any:
        return self.files[0].crs

    @property
    def wkt(self) -> str:
        return "" if self.crs is None else str(self.crs.to_wkt())

    @property
    def transform(self) -> Affine:
        return self.files[0].transform

    @property
    def bounds(self) -> str:
        b = self.files[0].bounds
        return f"({b.left:.6g}, {b.bottom:.6g})-({b.right:.6g}, {b.top:.6g})"

    def read(self, box: Box) -> Tensor:
        """(C, h, w) float32 of `box`, in this raster's pixels."""
        h, w = box.shape
        return self._read(window=Window(box.left, box.top, w, h))

    def thumbnail(self) -> Tensor:
        """(C, h, w) float32, the whole at no more than _THUMBNAIL pixels a side."""
        size = min(self.height, _THUMBNAIL), min(self.width, _THUMBNAIL)
        return self._read(size=size)

    def valid(self, image: Tensor) -> Tensor:
        """(H, W) bool: where all bands of `image` have data."""
        finite = torch.isfinite(image)
        if self.nodata is not None and not math.isnan(self.nodata):
            finite = finite & (image != torch.tensor(self.nodata, dtype=image.dtype))
        return finite.all(0)

    def _read(self, *, window: Window | None = None, size: tuple[int, int] | None = None) -> Tensor:
        parts = []
        for file in self.files:
            shape = None if size is None else (file.count, *size)
            try:
                parts.append(file.read(window=window, out_shape=shape, out_dtype="float32"))
            except RasterioError as error:
                raise SceneError(f"{file.name} broke off while being read: {error}") from error
        return torch.from_numpy(parts[0] if len(parts) == 1 else np.concatenate(parts))


@contextmanager
def open_raster(paths: Path | Sequence[Path]) -> Iterator[Raster]:
    """One file with all its bands, or several single-band files stacked in this order.

    Raises: SceneError if a file cannot be read, holds colours instead of measurements, or (naming
            the odd one) if files to be stacked differ in size, CRS, transform, dtype or nodata.
    """
    paths = (paths,) if isinstance(paths, Path) else tuple(paths)
    if not paths:
        raise SceneError("no file is given; expected one, or one a band")
    with ExitStack() as stack:
        files = tuple(stack.enter_context(_open(path)) for path in paths)
        for path, file in zip(paths, files, strict=True):
            _check_contents(path, file)
        if len(files) > 1:
            _check_stack(paths, files)
        yield Raster(paths=paths, files=files)


def _open(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)  # who aligns says so
            # A VRT names other files, so only what says it is one may be one.
            return rasterio.open(path, driver=_DRIVERS.get(path.suffix.lower()))
    except (RasterioError, OSError) as error:
        raise SceneError(f"cannot read {path}: {error}") from error


def _check_contents(path: Path, file: Any) -> None:
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
    # GDAL turns these into RGB(A) as it reads; only this item of metadata tells.
    space = file.tags(ns="IMAGE_STRUCTURE").get("SOURCE_COLOR_SPACE", "YCbCr")
    if space != "YCbCr":
        raise SceneError(
            f"{path} is tagged as {space} and would be read as RGB made from it; expected plain "
            "bands: write it again as photometric minisblack, or correct its tag 262 to 1"
        )


def _check_stack(paths: tuple[Path, ...], files: tuple[Any, ...]) -> None:
    for path, file in zip(paths, files, strict=True):
        if file.count != 1:
            raise SceneError(
                f"files to be stacked must have one band each; {path} has {file.count}"
            )
    wanted: dict[str, list[Any]] = {
        "size": [f"{file.height}x{file.width}" for file in files],
        "CRS": [str(file.crs) for file in files],
        "transform": [tuple(round(v, 9) for v in file.transform[:6]) for file in files],
        "dtype": [file.dtypes[0] for file in files],
        "nodata": [str(file.nodata) for file in files],
    }
    for what, values in wanted.items():
        usual, _ = Counter(values).most_common(1)[0]
        for path, value in zip(paths, values, strict=True):
            if value != usual:
                raise SceneError(
                    f"files to be stacked must share their {what}; {path} has {value}, "
                    f"others have {usual}"
                )


@dataclass(frozen=True, kw_only=True, slots=True)
class Output:
    """A GeoTIFF being written."""

    file: Any

    def write(self, data: np.ndarray, box: Box) -> None:
        """(C, h, w) into `box`, in pixels of the file."""
        h, w = box.shape
        self.file.write(data, window=Window(box.left, box.top, w, h))


@contextmanager
def create_raster(
    path: Path,
    *,
    shape: tuple[int, int, int],
    dtype: np.dtype,
    crs: Any,
    transform: Affine,
    nodata: float | None = None,
    like: Raster | None = None,
    tags: dict[str, str] | None = None,
) -> Iterator[Output]:
    """A tiled, compressed GeoTIFF of (C, H, W), with band names as in `like`.

    It appears under `path` only when the block ends without an error.
    Raises: SceneError if it cannot be written.
    """
    profile = {
        "driver": "GTiff",
        "count": shape[0],
        "height": shape[1],
        "width": shape[2],
        "dtype": dtype,
        "crs": crs,
        "transform": transform,
        "nodata": nodata,
        "tiled": True,
        "blockxsize": _BLOCK,
        "blockysize": _BLOCK,
        "compress": "deflate",
        "predictor": 3 if dtype.kind == "f" else 2,
        "bigtiff": "if_safer",
    }
    temporary = temporary_path(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            file = rasterio.open(temporary, "w", **profile)
        with file:
            if like is not None:
                file.colorinterp = _meanings(like)
                file.descriptions = _descriptions(like)
            file.update_tags(**(tags or {}))
            yield Output(file=file)
        publish(temporary, path)
    except (RasterioError, OSError) as error:
        raise SceneError(f"cannot write {path}: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _meanings(raster: Raster) -> list[ColorInterp]:
    if len(raster.files) > 1:  # every single band is grey; together they are not
        return [ColorInterp.gray] + [ColorInterp.undefined] * (len(raster.files) - 1)
    # Many writers flag the fourth of four bands as alpha; it is near infrared.
    return [
        ColorInterp.undefined if meaning is ColorInterp.alpha else meaning
        for meaning in raster.files[0].colorinterp
    ]


def _descriptions(raster: Raster) -> tuple[str | None, ...]:
    if len(raster.files) == 1:
        return tuple(raster.files[0].descriptions)
    return tuple(
        file.descriptions[0] or path.stem
        for path, file in zip(raster.paths, raster.files, strict=True)
    )
