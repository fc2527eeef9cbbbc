"""GeoTIFF pairs in, GeoTIFF out. The only rasterio import."""

import math
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.transform import Affine
from rasterio.windows import Window
from torch import Tensor

from fusiontrain.errors import SceneError
from fusiontrain.scenes.scene import MAX_RATIO, Part, check_side
from fusiontrain.tiles import Box
from shards.commit import publish, temporary_path

PHASE_TOLERANCE = 0.25  # PAN pixels by which the MS grid may miss the PAN's
_BLOCK = 256
_THUMBNAIL = 512  # pixels a side


@dataclass(frozen=True, kw_only=True, slots=True)
class GeoPair:
    """An open, aligned PAN and MS; `shape` is their overlap. Satisfies Windows."""

    ratio: int
    shape: tuple[int, int]  # h, w of the overlap, MS pixels
    ms_origin: tuple[int, int]  # row, column of the overlap in the MS file
    pan_origin: tuple[int, int]  # row, column of the overlap in the PAN file
    ms_fill: Tensor = field(repr=False)  # (C,) stands in for missing pixels, in every window
    pan_fill: Tensor = field(repr=False)  # (1,)
    ms_file: Any = field(repr=False)
    pan_file: Any = field(repr=False)
    note: str = ""  # what was assumed about the alignment

    @property
    def bands(self) -> int:
        return int(self.ms_file.count)

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(self.ms_file.dtypes[0])

    @property
    def nodata(self) -> float | None:
        """Of the output: the MS's; NaN for floats; else the PAN's, or 0 where that does not fit."""
        own, pans = self.ms_file.nodata, self.pan_file.nodata
        if own is not None:
            return float(own)
        if self.dtype.kind == "f":
            return math.nan
        if pans is None and np.dtype(self.pan_file.dtypes[0]).kind != "f":
            return None  # every pixel is data
        info = np.iinfo(self.dtype)
        fits = pans is not None and float(pans).is_integer() and info.min <= pans <= info.max
        return float(pans) if fits else 0.0

    @property
    def transform(self) -> Affine:
        """Of the overlap, on the PAN's grid."""
        row, column = self.pan_origin
        return self.pan_file.transform @ Affine.translation(column, row)

    def read(self, box: Box) -> Part:
        fine = box.scaled(self.ratio)
        ms = _read(self.ms_file, box, self.ms_origin)
        pan = _read(self.pan_file, fine, self.pan_origin)
        ms_valid, pan_valid = _valid(ms, self.ms_file.nodata), _valid(pan, self.pan_file.nodata)
        spread = ms_valid.repeat_interleave(self.ratio, 0).repeat_interleave(self.ratio, 1)
        return Part(
            ms=torch.where(ms_valid, ms, self.ms_fill[:, None, None]),
            pan=torch.where(pan_valid, pan, self.pan_fill[:, None, None]),
            valid=spread & pan_valid,
        )


@contextmanager
def open_pair(pan_path: Path, ms_path: Path) -> Iterator[GeoPair]:
    """Open both files and find their common ground.

    Raises: SceneError if a file cannot be read, PAN has several bands, CRS differ, the ratio
            is no integer in 2..MAX_RATIO, grids are out of phase, or nothing overlaps.
    """
    with ExitStack() as stack:
        pan = stack.enter_context(_open(pan_path))
        ms = stack.enter_context(_open(ms_path))
        _check_contents(pan, ms)
        yield _align(pan, ms)


def _open(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)  # _align says so itself
            return rasterio.open(path)
    except (RasterioError, OSError) as error:
        raise SceneError(f"cannot read {path}: {error}") from error


def _check_contents(pan: Any, ms: Any) -> None:
    if pan.count != 1:
        raise SceneError(
            f"PAN must have one band; {pan.name} has {pan.count}. Were PAN and MS exchanged?"
        )
    for file in (pan, ms):
        kind = np.dtype(file.dtypes[0]).kind
        if kind not in "uif" or len(set(file.dtypes)) != 1:
            raise SceneError(
                f"{file.name} must have one integer or float dtype for all bands; "
                f"got {', '.join(sorted(set(file.dtypes)))}"
            )


def _align(pan: Any, ms: Any) -> GeoPair:
    pan_placed, ms_placed = (not f.transform.is_identity for f in (pan, ms))
    if pan_placed != ms_placed:
        missing = ms.name if pan_placed else pan.name
        raise SceneError(f"{missing} has no geotransform, its partner has one; give it one")
    if pan.crs != ms.crs:
        raise SceneError(
            f"PAN is in {pan.crs}, MS in {ms.crs}; expected one CRS: "
            "warp MS to the PAN's first (gdalwarp -t_srs)"
        )
    if pan_placed:
        to_pan = ~pan.transform @ ms.transform  # MS pixel -> PAN pixel
        note = ""
    else:
        scale = pan.width / ms.width
        if not math.isclose(scale, pan.height / ms.height):
            raise SceneError(
                f"without georeference PAN must be a whole multiple of MS; got PAN "
                f"{pan.height}x{pan.width}, MS {ms.height}x{ms.width}"
            )
        to_pan = Affine.scale(scale)
        note = "no georeference: PAN and MS are taken to cover the same ground exactly"
    ratio = _integer_ratio(to_pan, ms)
    (ms_column, pan_column, w), (ms_row, pan_row, h) = (
        _overlap(offset, ratio, ms_size, pan_size)
        for offset, ms_size, pan_size in (
            (to_pan.c, ms.width, pan.width),
            (to_pan.f, ms.height, pan.height),
        )
    )
    if h <= 0 or w <= 0:
        raise SceneError(f"PAN and MS do not overlap: PAN covers {_bounds(pan)}, MS {_bounds(ms)}")
    check_side((h, w))
    return GeoPair(
        ratio=ratio,
        shape=(h, w),
        ms_origin=(ms_row, ms_column),
        pan_origin=(pan_row, pan_column),
        ms_fill=_typical(ms),
        pan_fill=_typical(pan),
        ms_file=ms,
        pan_file=pan,
        note=note,
    )


def _integer_ratio(to_pan: Affine, ms: Any) -> int:
    ratio = round(to_pan.a)
    drift = max(abs(to_pan.a - ratio) * ms.width, abs(to_pan.e - ratio) * ms.height)
    turned = max(abs(to_pan.b) * ms.height, abs(to_pan.d) * ms.width)
    if not 2 <= ratio <= MAX_RATIO or max(drift, turned) > 2 * PHASE_TOLERANCE:
        raise SceneError(
            f"an MS pixel must be a whole number, 2 to {MAX_RATIO}, of PAN pixels on the same "
            f"axes; got {to_pan.a:.4f} x {to_pan.e:.4f}: resample MS first (gdalwarp -tr -tap)"
        )
    return ratio


def _overlap(offset: float, ratio: int, ms_size: int, pan_size: int) -> tuple[int, int, int]:
    """(first MS pixel, first PAN pixel, MS pixels) of the common ground along one axis."""
    start = round(offset)
    if abs(offset - start) > PHASE_TOLERANCE:
        raise SceneError(
            f"MS pixels must begin where PAN pixels do; they are {abs(offset - start):.2f} of a "
            "PAN pixel apart: resample MS onto the PAN's grid first (gdalwarp -te -tr)"
        )
    skipped = max(0, -(start // ratio))
    first_pan = start + skipped * ratio
    return skipped, first_pan, min(ms_size - skipped, (pan_size - first_pan) // ratio)


def _bounds(file: Any) -> str:
    b = file.bounds
    return f"({b.left:.6g}, {b.bottom:.6g})-({b.right:.6g}, {b.top:.6g})"


def _read(file: Any, box: Box, origin: tuple[int, int]) -> Tensor:
    h, w = box.shape
    window = Window(box.left + origin[1], box.top + origin[0], w, h)
    try:
        data = file.read(window=window, out_dtype="float32")
    except RasterioError as error:
        raise SceneError(f"{file.name} broke off while being read: {error}") from error
    return torch.from_numpy(data)


def _valid(image: Tensor, nodata: float | None) -> Tensor:
    """(H, W): where all bands have data."""
    finite = torch.isfinite(image)
    if nodata is not None and not math.isnan(nodata):
        finite = finite & (image != torch.tensor(nodata, dtype=image.dtype))
    return finite.all(0)


def _typical(file: Any) -> Tensor:
    """(C,) mean of the valid pixels of a thumbnail; blurs stay calm beside what it stands for."""
    size = (min(file.height, _THUMBNAIL), min(file.width, _THUMBNAIL))
    try:
        data = file.read(out_shape=(file.count, *size), out_dtype="float32")
    except RasterioError as error:
        raise SceneError(f"{file.name} cannot be read: {error}") from error
    image = torch.from_numpy(data)
    valid = _valid(image, file.nodata)
    return torch.where(valid, image, 0.0).sum((-2, -1)) / valid.sum().clamp_min(1)


@dataclass(frozen=True, kw_only=True, slots=True)
class FusedFile:
    """A GeoTIFF being written, on the PAN's grid with the MS's bands and dtype."""

    pair: GeoPair
    file: Any

    def write(self, box: Box, fused: Tensor, valid: Tensor) -> None:
        """`box` in MS pixels; fused (C, H, W) DN; invalid pixels become nodata."""
        fine = box.scaled(self.pair.ratio)
        h, w = fine.shape
        data = to_dtype(fused.cpu().numpy(), self.pair.dtype, self.pair.nodata)
        if self.pair.nodata is not None:
            data[:, ~valid.cpu().numpy()] = self.pair.nodata
        self.file.write(data, window=Window(fine.left, fine.top, w, h))


def to_dtype(image: np.ndarray, dtype: np.dtype, nodata: float | None) -> np.ndarray:
    """Rounded and saturated to an integer dtype; data never takes the value of nodata."""
    if dtype.kind not in "ui":
        return image.astype(dtype)
    info = np.iinfo(dtype)
    data = np.clip(np.rint(image.astype(np.float64)), info.min, info.max).astype(dtype)
    if nodata is not None and info.min <= nodata <= info.max:
        neighbour = nodata + 1 if nodata < info.max else nodata - 1
        data[data == nodata] = neighbour
    return data


@contextmanager
def create_fused(path: Path, pair: GeoPair, tags: dict[str, str]) -> Iterator[FusedFile]:
    """The output appears under `path` only when the block ends without an error."""
    for source in (pair.pan_file.name, pair.ms_file.name):
        if path.exists() and Path(source).exists() and path.samefile(source):
            raise SceneError(f"the output {path} is one of the inputs; give another name")
    h, w = (side * pair.ratio for side in pair.shape)
    profile = {
        "driver": "GTiff",
        "width": w,
        "height": h,
        "count": pair.bands,
        "dtype": pair.dtype,
        "crs": pair.pan_file.crs,
        "transform": pair.transform,
        "nodata": pair.nodata,
        "tiled": True,
        "blockxsize": _BLOCK,
        "blockysize": _BLOCK,
        "compress": "deflate",
        "predictor": 3 if pair.dtype.kind == "f" else 2,
        "bigtiff": "if_safer",
    }
    temporary = temporary_path(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            file = rasterio.open(temporary, "w", **profile)
        with file:
            # Many writers flag the fourth of four bands as alpha; it is near infrared.
            file.colorinterp = [
                ColorInterp.undefined if meaning is ColorInterp.alpha else meaning
                for meaning in pair.ms_file.colorinterp
            ]
            file.descriptions = pair.ms_file.descriptions
            file.update_tags(**tags)
            yield FusedFile(pair=pair, file=file)
        publish(temporary, path)
    except (RasterioError, OSError) as error:
        raise SceneError(f"cannot write {path}: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def write_placed(path: Path, image: np.ndarray, *, pixel: int) -> None:
    """A (C, H, W) array as a GeoTIFF at a made-up place, `pixel` metres a pixel."""
    temporary = temporary_path(path)
    profile = {
        "driver": "GTiff",
        "count": image.shape[0],
        "height": image.shape[1],
        "width": image.shape[2],
        "dtype": image.dtype,
        "crs": "EPSG:32631",
        "transform": Affine(pixel, 0, 500_000, 0, -pixel, 5_000_000),
        "compress": "deflate",
    }
    try:
        with rasterio.open(temporary, "w", **profile) as file:
            file.write(image)
        publish(temporary, path)
    except (RasterioError, OSError) as error:
        raise SceneError(f"cannot write {path}: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)
