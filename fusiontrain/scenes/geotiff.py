"""GeoTIFF pairs in, GeoTIFF out: which PAN and MS pixels cover the same ground."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from affine import Affine
from torch import Tensor
from torch.nn import functional as F

from fusiontrain.batch import Convention
from fusiontrain.errors import SceneError
from fusiontrain.scenes.raster import Output, Raster, create_raster, open_raster
from fusiontrain.scenes.scene import MAX_RATIO, Part, check_side
from fusiontrain.scenes.shift import AFTER, BEFORE, sample_between
from fusiontrain.tiles import Box

PHASE_TOLERANCE = 0.25  # PAN pixels by which the MS grid may miss the PAN's


@dataclass(frozen=True, kw_only=True, slots=True)
class GeoPair:
    """An open, aligned PAN and MS; `shape` is their overlap. Satisfies Windows."""

    ratio: int
    shape: tuple[int, int]  # h, w of the overlap, MS pixels
    ms_origin: tuple[int, int]  # row, column of the overlap in the MS file
    pan_origin: tuple[int, int]  # row, column of the overlap in the PAN file
    ms_shift: tuple[float, float] = (0.0, 0.0)  # MS pixels beyond ms_origin at which MS is sampled
    ms_fill: Tensor = field(repr=False)  # (C,) stands in for missing pixels, in every window
    pan_fill: Tensor = field(repr=False)  # (1,)
    ms_file: Raster = field(repr=False)
    pan_file: Raster = field(repr=False)
    note: str = ""  # what was assumed about the alignment

    @property
    def bands(self) -> int:
        return self.ms_file.count

    @property
    def phase(self) -> Convention:
        return "aligned"

    @property
    def dtype(self) -> np.dtype:
        return self.ms_file.dtype

    @property
    def nodata(self) -> float | None:
        """Of the output: the MS's; NaN for floats; else the PAN's, or 0 where that does not fit."""
        own, pans = self.ms_file.nodata, self.pan_file.nodata
        if own is not None:
            return own
        if self.dtype.kind == "f":
            return math.nan
        if pans is None and self.pan_file.dtype.kind != "f":
            return None  # every pixel is data
        info = np.iinfo(self.dtype)
        fits = pans is not None and pans.is_integer() and info.min <= pans <= info.max
        return pans if fits else 0.0

    @property
    def transform(self) -> Affine:
        """Of the overlap, on the PAN's grid."""
        row, column = self.pan_origin
        return self.pan_file.transform @ Affine.translation(column, row)

    def read(self, box: Box) -> Part:
        fine = _moved(box.scaled(self.ratio), self.pan_origin)
        pan = self.pan_file.read(fine)
        pan_valid = self.pan_file.valid(pan)
        ms, ms_valid = self._read_ms(_moved(box, self.ms_origin))
        spread = ms_valid.repeat_interleave(self.ratio, 0).repeat_interleave(self.ratio, 1)
        return Part(
            ms=torch.where(ms_valid, ms, self.ms_fill[:, None, None]),
            pan=torch.where(pan_valid, pan, self.pan_fill[:, None, None]),
            valid=spread & pan_valid,
        )

    def _read_ms(self, box: Box) -> tuple[Tensor, Tensor]:
        """(C, h, w) and (h, w) validity of `box` in the MS file, sampled at ms_shift beyond it."""
        if self.ms_shift == (0.0, 0.0):
            ms = self.ms_file.read(box)
            return ms, self.ms_file.valid(ms)
        wanted = Box(
            top=box.top - BEFORE,
            left=box.left - BEFORE,
            bottom=box.bottom + AFTER,
            right=box.right + AFTER,
        )
        there = Box(
            top=max(0, wanted.top),
            left=max(0, wanted.left),
            bottom=min(self.ms_file.height, wanted.bottom),
            right=min(self.ms_file.width, wanted.right),
        )
        ms = self.ms_file.read(there)
        valid = self.ms_file.valid(ms)
        ms = torch.where(valid, ms, self.ms_fill[:, None, None])
        pad = (
            there.left - wanted.left,
            wanted.right - there.right,
            there.top - wanted.top,
            wanted.bottom - there.bottom,
        )
        ms = F.pad(ms[None], pad, mode="replicate")[0]
        valid = F.pad(valid[None, None].float(), pad, mode="replicate")[0, 0].bool()
        return sample_between(ms, valid, self.ms_shift)


def _moved(box: Box, origin: tuple[int, int]) -> Box:
    row, column = origin
    return Box(
        top=box.top + row,
        left=box.left + column,
        bottom=box.bottom + row,
        right=box.right + column,
    )


@contextmanager
def open_pair(pan_path: Path, ms_path: Path | Sequence[Path]) -> Iterator[GeoPair]:
    """Open both and find their common ground. MS may be one file, or one a band, in order.

    Where MS pixels begin between PAN pixels (Landsat: half a PAN pixel off) MS is resampled onto
    the PAN's grid as it is read; `note` says so.
    Raises: SceneError if a file cannot be read, PAN has several bands, MS files do not stack, CRS
            differ, the ratio is no integer in 2..MAX_RATIO, or nothing overlaps.
    """
    with open_raster(pan_path) as pan, open_raster(ms_path) as ms:
        if pan.count != 1:
            raise SceneError(
                f"PAN must have one band; {pan.name} has {pan.count}. Were PAN and MS exchanged?"
            )
        yield _align(pan, ms)


def _align(pan: Raster, ms: Raster) -> GeoPair:
    to_pan, note = _ms_to_pan(pan, ms)
    ratio = _integer_ratio(to_pan, ms)
    rows = _overlap(to_pan.f, ratio, ms.height, pan.height)
    columns = _overlap(to_pan.c, ratio, ms.width, pan.width)
    if rows.length <= 0 or columns.length <= 0:
        raise SceneError(f"PAN and MS do not overlap: PAN covers {pan.bounds}, MS {ms.bounds}")
    check_side((rows.length, columns.length))
    shift = (rows.ms_shift, columns.ms_shift)
    if any(shift):
        note = (
            f"MS pixels begin {_beside(to_pan.f):.2f} rows, {_beside(to_pan.c):.2f} columns of PAN "
            "pixels off the PAN's: MS is resampled onto its grid, cubic"
        )
    return GeoPair(
        ratio=ratio,
        shape=(rows.length, columns.length),
        ms_origin=(rows.ms_start, columns.ms_start),
        pan_origin=(rows.pan_start, columns.pan_start),
        ms_shift=shift,
        ms_fill=_typical(ms),
        pan_fill=_typical(pan),
        ms_file=ms,
        pan_file=pan,
        note=note,
    )


def _ms_to_pan(pan: Raster, ms: Raster) -> tuple[Affine, str]:
    """MS pixel -> PAN pixel, and what was assumed."""
    pan_placed, ms_placed = (not file.transform.is_identity for file in (pan, ms))
    if pan_placed != ms_placed:
        missing = ms.name if pan_placed else pan.name
        raise SceneError(f"{missing} has no geotransform, its partner has one; give it one")
    if pan.crs != ms.crs:
        raise SceneError(
            f"PAN is in {pan.crs}, MS in {ms.crs}; expected one CRS: "
            "warp MS to the PAN's first (gdalwarp -t_srs)"
        )
    if pan_placed:
        return ~pan.transform @ ms.transform, ""
    scale = pan.width / ms.width
    if not math.isclose(scale, pan.height / ms.height):
        raise SceneError(
            f"without georeference PAN must be a whole multiple of MS; got PAN "
            f"{pan.height}x{pan.width}, MS {ms.height}x{ms.width}"
        )
    note = "no georeference: PAN and MS are taken to cover the same ground exactly"
    return Affine.scale(scale), note


def _integer_ratio(to_pan: Affine, ms: Raster) -> int:
    if 0 < to_pan.a < 1:
        raise SceneError(
            f"MS pixels must be larger than PAN's; those of {ms.name} are {to_pan.a:.4g} of a PAN "
            "pixel wide. Were PAN and MS exchanged?"
        )
    ratio = round(to_pan.a)
    drift = max(abs(to_pan.a - ratio) * ms.width, abs(to_pan.e - ratio) * ms.height)
    turned = max(abs(to_pan.b) * ms.height, abs(to_pan.d) * ms.width)
    if not 2 <= ratio <= MAX_RATIO or max(drift, turned) > 2 * PHASE_TOLERANCE:
        raise SceneError(
            f"an MS pixel must be a whole number, 2 to {MAX_RATIO}, of PAN pixels on the same "
            f"axes; got {to_pan.a:.4f} x {to_pan.e:.4f}: resample MS first (gdalwarp -tr -tap)"
        )
    return ratio


@dataclass(frozen=True, kw_only=True, slots=True)
class _Overlap:
    """Common ground along one axis."""

    ms_start: int
    ms_shift: float  # in [0, 1), MS pixels beyond ms_start
    pan_start: int
    length: int  # MS pixels


def _beside(offset: float) -> float:
    """PAN pixels from a whole one."""
    return abs(offset - round(offset))


def _overlap(offset: float, ratio: int, ms_size: int, pan_size: int) -> _Overlap:
    if _beside(offset) <= PHASE_TOLERANCE:
        start, shift = round(offset), 0.0
    else:  # from the first PAN pixel that MS covers whole, to the last sample between MS pixels
        start = math.ceil(offset)
        shift = (start - offset) / ratio
        ms_size -= 1
    skipped = max(0, -(start // ratio))
    first_pan = start + skipped * ratio
    return _Overlap(
        ms_start=skipped,
        ms_shift=shift,
        pan_start=first_pan,
        length=min(ms_size - skipped, (pan_size - first_pan) // ratio),
    )


def _typical(file: Raster) -> Tensor:
    """(C,) mean of the valid pixels of a thumbnail; blurs stay calm beside what it stands for."""
    image = file.thumbnail()
    valid = file.valid(image)
    return torch.where(valid, image, 0.0).sum((-2, -1)) / valid.sum().clamp_min(1)


@dataclass(frozen=True, kw_only=True, slots=True)
class FusedFile:
    """A GeoTIFF being written, on the PAN's grid with the MS's bands and dtype."""

    pair: GeoPair
    file: Output

    def write(self, box: Box, fused: Tensor, valid: Tensor) -> None:
        """`box` in MS pixels; fused (C, H, W) DN; invalid pixels become nodata."""
        data = to_dtype(fused.cpu().numpy(), self.pair.dtype, self.pair.nodata)
        if self.pair.nodata is not None:
            data[:, ~valid.cpu().numpy()] = self.pair.nodata
        self.file.write(data, box.scaled(self.pair.ratio))


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
    for source in (*pair.pan_file.paths, *pair.ms_file.paths):
        if path.exists() and source.exists() and path.samefile(source):
            raise SceneError(f"the output {path} is one of the inputs; give another name")
    h, w = (side * pair.ratio for side in pair.shape)
    with create_raster(
        path,
        shape=(pair.bands, h, w),
        dtype=pair.dtype,
        crs=pair.pan_file.crs,
        transform=pair.transform,
        nodata=pair.nodata,
        like=pair.ms_file,
        tags=tags,
    ) as file:
        yield FusedFile(pair=pair, file=file)


def write_placed(path: Path, image: np.ndarray, *, pixel: int) -> None:
    """A (C, H, W) array as a GeoTIFF at a made-up place, `pixel` metres a pixel."""
    _, H, W = image.shape
    with create_raster(
        path,
        shape=image.shape,
        dtype=image.dtype,
        crs="EPSG:32631",
        transform=Affine(pixel, 0, 500_000, 0, -pixel, 5_000_000),
    ) as file:
        file.write(image, Box(top=0, left=0, bottom=H, right=W))
