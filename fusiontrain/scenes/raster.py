"""Rasters, read and written through GDAL: bands of one or more files. The only rasterio import."""

import math
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from affine import Affine
from rasterio._err import CPLE_BaseError
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.shutil import copy as copy_raster
from rasterio.warp import reproject, transform
from rasterio.windows import Window
from torch import Tensor

from fusiontrain.errors import SceneError
from fusiontrain.imaging.tiling import Box

Source = Path | str  # a local file; or what GDAL reads: /vsi..., https://, s3://

_SAMPLES, _SAMPLE = 5, 128  # windows an axis, and their pixels a side, that stand for a file
_Errors = (RasterioError, CPLE_BaseError)  # GDAL's own come through bare here and there
WriteError = (*_Errors, OSError)
# Bytes of pieces for overviews: in GDAL's own 10 MB eight bands do not fit, and are held whole.
_OVERVIEWS = 200 * 2**20
_REMOTE = re.compile(r"/vsi[a-z0-9_]+/|[a-z][a-z0-9+]{1,20}://", re.IGNORECASE)
_DRIVERS = {".tif": "GTiff", ".tiff": "GTiff", ".jp2": "JP2OpenJPEG", ".vrt": "VRT"}
_OPTIONS = {  # of GDAL, while we work
    "GDAL_CACHEMAX": 256 * 2**20,
    "GDAL_TIFF_INTERNAL_MASK": True,
    "GDAL_HTTP_CONNECTTIMEOUT": 20,
    "GDAL_HTTP_MAX_RETRY": 3,
    "GDAL_HTTP_RETRY_DELAY": 1,
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Raster:
    """Open bands on one grid: of one file, or one of each of several."""

    paths: tuple[Source, ...]
    files: tuple[Any, ...] = field(repr=False)
    bands: tuple[int, ...]  # that are measurements, in the order wanted; of several files: of all
    alpha: int | None = None  # the band that is a mask
    masked: bool = False  # the file has a mask of its own

    @property
    def name(self) -> str:
        more = f" (and {len(self.paths) - 1} more)" if len(self.paths) > 1 else ""
        return f"{self.paths[0]}{more}"

    @property
    def count(self) -> int:
        return len(self.bands)

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
    def placed(self) -> bool:
        """Whether pixels have a place on the ground; with RPCs or GCPs alone they have none."""
        return not self.transform.is_identity

    @property
    def rpcs(self) -> Any:
        return self.files[0].rpcs

    @property
    def bounds(self) -> str:
        b = self.files[0].bounds
        return f"({b.left:.6g}, {b.bottom:.6g})-({b.right:.6g}, {b.top:.6g})"

    @property
    def descriptions(self) -> tuple[str | None, ...]:
        if len(self.files) == 1:
            return tuple(self.files[0].descriptions[band - 1] for band in self.bands)
        each = ((self.files[i - 1], self.paths[i - 1]) for i in self.bands)
        return tuple(file.descriptions[0] or Path(path).stem for file, path in each)

    @property
    def meanings(self) -> list[ColorInterp]:
        if len(self.files) > 1:  # every single band is grey; together they are not
            return [ColorInterp.gray] + [ColorInterp.undefined] * (self.count - 1)
        # Many writers flag the fourth of four bands as alpha; it is near infrared.
        own = [self.files[0].colorinterp[band - 1] for band in self.bands]
        odd = ColorInterp.alpha
        return [ColorInterp.undefined if meaning is odd else meaning for meaning in own]

    def facts(self) -> dict[str, Any]:
        """What a file made of these bands should say too: tags, and scale, offset, unit a band."""
        first = self.files[0]
        if len(self.files) == 1:
            owners = [(first, band) for band in self.bands]
        else:
            owners = [(self.files[i - 1], 1) for i in self.bands]
        return {
            "tags": dict(first.tags()),
            "band_tags": [dict(file.tags(band)) for file, band in owners],
            "scales": [file.scales[band - 1] for file, band in owners],
            "offsets": [file.offsets[band - 1] for file, band in owners],
            "units": [file.units[band - 1] for file, band in owners],
        }

    def all_tags(self) -> dict[str, str]:
        """Of every domain: where products name their satellite."""
        first, found = self.files[0], {}
        for space in (None, *first.tag_namespaces()):
            if space is None or not space.startswith(("xml:", "json:")):
                found.update(first.tags(ns=space) if space else first.tags())
        return {str(key): str(value) for key, value in found.items()}

    def pick(self, bands: Sequence[int]) -> "Raster":
        """Some bands, from 1, in this order. Raises: SceneError if there is no such band."""
        odd = [band for band in bands if not 1 <= band <= self.count]
        if odd or not bands:
            raise SceneError(f"bands of {self.name} go from 1 to {self.count}; got {[*bands]}")
        picked = tuple(self.bands[band - 1] for band in bands)
        return replace(self, bands=picked)

    def read(self, box: Box) -> Tensor:
        """(C, h, w) float32 of `box`, in this raster's pixels."""
        window = _window(box)
        try:
            if len(self.files) == 1:
                data = self.files[0].read(self.bands, window=window, out_dtype="float32")
            else:
                chosen = [self.files[i - 1] for i in self.bands]
                data = np.stack([f.read(1, window=window, out_dtype="float32") for f in chosen])
        except _Errors as error:
            raise self._broken(error) from error
        return torch.from_numpy(data)

    def valid(self, image: Tensor) -> Tensor:
        """(H, W) bool: where all bands of `image` have data, by value."""
        finite = torch.isfinite(image)
        if self.nodata is not None and not math.isnan(self.nodata):
            finite = finite & (image != torch.tensor(self.nodata, dtype=image.dtype))
        return finite.all(0)

    def read_valid(self, box: Box) -> tuple[Tensor, Tensor]:
        """`read`, and (h, w) bool: where all bands have data, by value and by masks."""
        image = self.read(box)
        valid = self.valid(image)
        window = _window(box)
        try:
            if self.alpha is not None:
                valid &= torch.from_numpy(self.files[0].read(self.alpha, window=window) > 0)
            if self.masked:
                for file in self.files:
                    valid &= torch.from_numpy(file.read_masks(window=window).min(0) > 0)
        except _Errors as error:
            raise self._broken(error) from error
        return image, valid

    def sample(self) -> tuple[Tensor, Tensor]:
        """read_valid of windows spread over all of it, side by side: a bounded cost."""
        return spread(self.height, self.width, self.read_valid)

    def _broken(self, error: Exception) -> SceneError:
        return SceneError(
            f"{self.name} broke off while being read: {error.__cause__ or error}: "
            "the file is damaged or cut short; copy it again"
        )


def _window(box: Box) -> Window:
    h, w = box.shape
    return Window(box.left, box.top, w, h)


def spread(height: int, width: int, read: Any) -> tuple[Tensor, Tensor]:
    """(C, h, N) and (h, N): `read` at windows spread over (height, width), side by side."""
    h, w = min(height, _SAMPLE), min(width, _SAMPLE)
    tops, lefts = (
        sorted({round(i * (size - side) / (_SAMPLES - 1)) for i in range(_SAMPLES)})
        for size, side in ((height, h), (width, w))
    )
    parts = [
        read(Box(top=top, left=left, bottom=top + h, right=left + w))
        for top in tops
        for left in lefts
    ]
    return torch.cat([image for image, _ in parts], 2), torch.cat([v for _, v in parts], 1)


@contextmanager
def gdal(threads: int | None = None) -> Iterator[None]:
    """GDAL's own settings for the length of a block; `threads` of its codecs."""
    with rasterio.Env(**_OPTIONS, **({} if threads is None else {"GDAL_NUM_THREADS": threads})):
        yield


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
        yield _masks(paths, files)


def _masks(paths: tuple[Source, ...], files: tuple[Any, ...]) -> Raster:
    """With the band that is truly an alpha, or the file's own mask."""
    masked = any(
        MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags
        for file in files
        for flags in file.mask_flag_enums
    )
    count = files[0].count if len(files) == 1 else len(files)
    everything = Raster(
        paths=paths, files=files, bands=tuple(range(1, count + 1)), alpha=None, masked=masked
    )
    if len(files) > 1 or count == 1 or files[0].colorinterp[-1] is not ColorInterp.alpha:
        return everything
    # Near infrared is often flagged as alpha, and holds more than nothing and everything.
    values = np.unique(everything.pick([count]).sample()[0].numpy())
    full = 1.0 if files[0].dtypes[0].startswith("f") else float(np.iinfo(files[0].dtypes[0]).max)
    if not set(values.tolist()) <= {0.0, 1.0, 255.0, full}:
        return everything
    return replace(everything, bands=tuple(range(1, count)), alpha=count)


def _open(path: Source) -> Any:
    remote = isinstance(path, str) and _REMOTE.match(path)
    suffix = Path(str(path).partition("?")[0]).suffix.lower()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)  # who aligns says so
            # A VRT names other files, so only what says it is one may be one.
            return rasterio.open(str(path) if remote else Path(path), driver=_DRIVERS.get(suffix))
    except (*_Errors, OSError, ValueError) as error:
        raise SceneError(f"cannot read {path}: {error}") from error


def is_local(path: Source) -> bool:
    return isinstance(path, Path) or not _REMOTE.match(path)


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
    # GDAL turns these into RGB(A) as it reads; only this item of metadata tells.
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


def move_points(xs: list[float], ys: list[float], source: Any, target: Any) -> np.ndarray:
    """(2, N) of points in CRS `target`; infinite where they have no place there."""
    if source == target:
        return np.array([xs, ys], dtype=float)
    try:
        return np.array(transform(source, target, xs, ys)[:2], dtype=float)
    except _Errors as error:
        raise SceneError(f"no way from {source} to {target}: {error}") from error


def warp_array(
    image: np.ndarray,
    grid: Affine,
    crs: Any,
    *,
    shape: tuple[int, int],
    target: Affine,
    target_crs: Any,
    scale: float,
) -> np.ndarray:
    """(C, h, w) float32 by GDAL's cubic warp onto another grid; NaN is missing in both.

    `scale` is the target's pixels per pixel: said, so that every window is warped alike.
    """
    out = np.full((len(image), *shape), np.nan, dtype=np.float32)
    plain = "EPSG:3857"  # any plane stands for none
    reproject(
        image,
        out,
        src_transform=grid,
        src_crs=crs or plain,
        src_nodata=np.nan,
        dst_transform=target,
        dst_crs=target_crs or plain,
        dst_nodata=np.nan,
        resampling=Resampling.cubic,
        tolerance=0,
        XSCALE=scale,
        YSCALE=scale,
        UNIFIED_SRC_NODATA="YES",
    )
    return out


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
        with rasterio.Env(GDAL_OVR_CHUNK_MAX_SIZE=_OVERVIEWS):  # here: options go by threads
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
