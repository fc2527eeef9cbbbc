"""Files cut into pictures on demand, all on the PAN's grid. The only rio_tiler import."""

import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rio_tiler import reader
from rio_tiler.errors import RioTilerError
from rio_tiler.io import ImageReader, Reader
from rio_tiler.models import ImageData

from fusiontrain.errors import SceneError
from fusiontrain.scenes.gdal_environment import ReadError, Source, gdal
from fusiontrain.scenes.grids import EXTENT_TOLERANCE, check_crs
from fusiontrain.scenes.open_raster import open_raster
from fusiontrain.scenes.raster import Raster
from fusiontrain.scenes.raster_metadata import band_names

SIDE = 256  # pixels of a tile
_LARGE = 2**24  # pixels; a file over it without overviews is slow from afar

View = tuple[float, float, float, float]  # left, top, right, bottom in PAN pixels


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid:
    """PAN's pixels, north up; what a view is counted in."""

    width: int
    height: int
    crs: Any = None
    corner: tuple[float, float] = (0.0, 0.0)  # of the CRS, upper left
    pixel: tuple[float, float] | None = None  # of the CRS, right and down; None: no place

    @property
    def levels(self) -> int:
        """Halvings until one tile shows all."""
        return max(0, (max(self.width, self.height) - 1).bit_length() - SIDE.bit_length() + 1)

    def box(self, level: int, column: int, row: int) -> View:
        """Of a tile. Raises: SceneError if there is no such tile."""
        side = SIDE << level if 0 <= level <= self.levels else 0
        if not side or not (0 <= column * side < self.width and 0 <= row * side < self.height):
            raise SceneError(f"no tile {level}/{column}/{row}")
        return column * side, row * side, (column + 1) * side, (row + 1) * side

    @property
    def size(self) -> tuple[float, float]:
        """Of a pixel; 1 without a place."""
        return self.pixel or (1.0, 1.0)

    def placed(self, view: View) -> View:
        """(left, bottom, right, top) in the CRS."""
        (x, y), (dx, dy) = self.corner, self.size
        left, top, right, bottom = view
        return x + left * dx, y - bottom * dy, x + right * dx, y - top * dy


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """One file, read at any scale from any thread."""

    name: str
    raster: Raster = field(repr=False)
    grid: Grid = field(repr=False)
    scale: float | None  # PAN pixels a pixel, for files without a place
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def labels(self) -> list[str]:
        """Of bands, from 1."""
        return [f"{i} {text or ''}".strip() for i, text in enumerate(band_names(self.raster), 1)]

    def read(
        self, view: View, bands: Sequence[int], shape: tuple[int, int], *, smooth: bool = False
    ) -> np.ma.MaskedArray:
        """(C, h, w) DN of `view`, masked where there is no data.

        Smaller than its pixels are, they are averaged; larger, shown as blocks, or `smooth`: cubic.
        Raises: SceneError for bands that are not there, or if the file breaks off.
        """
        own = self.raster.pick(bands).bands
        try:
            with self._lock:
                if self.scale is None and not self._as_it_lies:
                    return self._warped(view, own, shape, smooth)
                return self._cut(view, own, shape, smooth)
        except (*ReadError, OSError, RioTilerError) as error:
            why = error.__cause__ or error
            raise SceneError(f"{self.name} broke off while being read: {why}") from error

    def limits(self, bands: Sequence[int], cut: float, view: View | None) -> list[list[float]]:
        """[low, high] of each band, `cut` percent of pixels beyond either; of `view`, or of all."""
        if view is None:
            with self._lock:
                image, valid = self.raster.pick(bands).sample()
            found = [band[valid].numpy() for band in image]
        else:
            seen = self.read(view, bands, (SIDE, SIDE))
            found = [band.compressed() for band in seen]
        ends = [np.percentile(v, [cut, 100 - cut]) if v.size else (0.0, 1.0) for v in found]
        return [[float(low), float(high)] for low, high in ends]

    @property
    def _as_it_lies(self) -> bool:
        return self.raster.crs == self.grid.crs and _north_up(self.raster)

    @property
    def _flagged(self) -> bool:
        """Whether a band is called alpha that is none: near infrared, often."""
        return self.raster.alpha is None and self.raster.files[0].colorinterp[-1].name == "alpha"

    def _extent(self) -> View:
        """In PAN pixels."""
        if self.scale is not None:
            return 0.0, 0.0, self.raster.width * self.scale, self.raster.height * self.scale
        b, (x, y), (dx, dy) = self.raster.files[0].bounds, self.grid.corner, self.grid.size
        return (b.left - x) / dx, (y - b.top) / dy, (b.right - x) / dx, (y - b.bottom) / dy

    def _cut(
        self, view: View, bands: Sequence[int], shape: tuple[int, int], smooth: bool
    ) -> np.ma.MaskedArray:
        """Through the file's own windows and overviews; what lies beside it stays masked."""
        out = np.ma.MaskedArray(np.zeros((len(bands), *shape), self.raster.dtype), mask=True)
        extent = self._extent()
        per = (view[2] - view[0]) / shape[1], (view[3] - view[1]) / shape[0]
        (left, top), (right, bottom) = (
            map(max, view[:2], extent[:2]),
            map(min, view[2:], extent[2:]),
        )
        seen = left, top, right, bottom
        columns = [round((v - view[0]) / per[0]) for v in (seen[0], seen[2])]
        rows = [round((v - view[1]) / per[1]) for v in (seen[1], seen[3])]
        if columns[0] >= columns[1] or rows[0] >= rows[1]:
            return out
        size = rows[1] - rows[0], columns[1] - columns[0]
        how = self._resampling(per[0], smooth)
        file = self.raster.files[0]
        if self.scale is not None:
            left, top, right, bottom = (v / self.scale for v in seen)
            box = left, bottom, right, top
            with ImageReader(None, dataset=file) as image:
                found = image.part(
                    box, indexes=bands, height=size[0], width=size[1], resampling_method=how
                )
        else:
            found = reader.part(
                file,
                self.grid.placed(seen),
                indexes=bands,
                height=size[0],
                width=size[1],
                resampling_method=how,
            )
        out[:, rows[0] : rows[1], columns[0] : columns[1]] = self._masked(found)
        return out

    def _warped(
        self, view: View, bands: Sequence[int], shape: tuple[int, int], smooth: bool
    ) -> np.ma.MaskedArray:
        """By GDAL's warp, into the PAN's CRS and axes."""
        how = self._resampling((view[2] - view[0]) / shape[1], smooth)
        with Reader(None, dataset=self.raster.files[0]) as image:
            found = image.part(
                self.grid.placed(view),
                indexes=bands,
                dst_crs=self.grid.crs,
                bounds_crs=self.grid.crs,
                height=shape[0],
                width=shape[1],
                reproject_method=how,
                vrt_options={"tolerance": 0.01},  # with none, turned axes would not be warped
            )
        return self._masked(found, beside=True)

    def _resampling(self, pan_pixels: float, smooth: bool) -> Any:
        """`pan_pixels` an output pixel."""
        own = self.scale or 1.0
        if self.scale is None and self.grid.pixel is not None:
            low, high = self._extent()[0::2]
            own = (high - low) / self.raster.width if self._as_it_lies else 1.0
        if self._flagged and self._as_it_lies:
            return "nearest"  # the others leave out what that band, taken for a mask, has 0 at
        return "average" if pan_pixels > own else "cubic" if smooth else "nearest"

    def _masked(self, found: ImageData, *, beside: bool = False) -> np.ma.MaskedArray:
        """`beside`: there may be pixels that the file does not cover."""
        data = found.array
        if found.alpha_mask is not None:  # a true alpha may be full at 1 or 255, too
            gone = found.alpha_mask == 0 if beside or not self._flagged else False
            data = np.ma.MaskedArray(data.data, mask=np.broadcast_to(gone, data.shape))
        return np.ma.masked_invalid(data) if data.dtype.kind == "f" else data


def picture(data: np.ma.MaskedArray, limits: Sequence[Sequence[float]], gamma: float) -> bytes:
    """PNG of (1 or 3, h, w) DN, each band from its low to its high; transparent where masked."""
    low, high = np.asarray(limits, dtype=np.float64)[..., None, None].swapaxes(0, 1)
    share = (data.data.astype(np.float64) - low) / np.maximum(high - low, 1e-12)
    share = np.nan_to_num(share, nan=0.0, posinf=1.0, neginf=0.0).clip(0, 1)
    grey = np.round(share ** (1 / gamma) * 255).astype(np.uint8)
    mask = np.broadcast_to(np.ma.getmaskarray(data).any(0), grey.shape)
    return ImageData(np.ma.MaskedArray(grey, mask=mask)).render(img_format="PNG", zlevel=1)


@contextmanager
def open_layers(
    pan: Source, others: Sequence[Source], *, threads: int = 1
) -> Iterator[tuple[Grid, list[Layer], list[str]]]:
    """PAN's grid; PAN first, then the others on it; and what is to be said.

    Files without a geotransform, or all where PAN has none, are laid on PAN from its upper left
    corner on, as `fuse --assume-aligned` does.
    Raises: SceneError if a file cannot be read, PAN has several bands, or a file cannot be laid
            on PAN.
    """
    with ExitStack() as stack:
        # Of overviews and georeference: said here. Not around each read: filters are the process's.
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.enter_context(gdal(threads))
        first = stack.enter_context(open_raster(pan))
        if first.count != 1:
            raise SceneError(
                f"PAN must have one band; {first.name} has {first.count}: name PAN first, then MS"
            )
        grid = _grid(first)
        rasters = [first, *(stack.enter_context(open_raster(path)) for path in others)]
        names = _names([pan, *others])
        layers, says, bare = [], [], []
        for name, raster in zip(names, rasters, strict=True):
            scale = _scale(first, raster)
            if scale is not None and raster is not first:
                bare.append(name)
            large = raster.height * raster.width > _LARGE
            if large and not raster.files[0].overviews(1):
                says.append(
                    f"{name} has no overviews: slow from afar (gdaladdo -r average, or a COG)"
                )
            layers.append(Layer(name=name, raster=raster, grid=grid, scale=scale))
        if bare:
            says.insert(0, f"no georeference, laid on the PAN from its corner: {', '.join(bare)}")
        yield grid, layers, says


def _grid(pan: Raster) -> Grid:
    if not pan.placed:
        return Grid(width=pan.width, height=pan.height)
    if _north_up(pan):
        t = pan.transform
        pixel, (width, height) = (t.a, -t.e), (pan.width, pan.height)
        corner = (t.c, t.f)
    else:
        size = abs(pan.transform.determinant) ** 0.5
        sides = [pan.transform @ (x, y) for x in (0, pan.width) for y in (0, pan.height)]
        (left, right), (bottom, top) = (
            (min(side[i] for side in sides), max(side[i] for side in sides)) for i in (0, 1)
        )
        pixel, corner = (size, size), (left, top)
        width, height = round((right - left) / size), round((top - bottom) / size)
    return Grid(width=width, height=height, crs=pan.crs, corner=corner, pixel=pixel)


def _north_up(raster: Raster) -> bool:
    t = raster.transform
    return t.b == t.d == 0 and t.a > 0 > t.e


def _scale(pan: Raster, raster: Raster) -> float | None:
    """PAN pixels a pixel of what has no place; None where both have one."""
    if pan.placed and raster.placed:
        check_crs(pan.crs, raster.crs, raster.name)
        if raster.crs is None and not (_north_up(raster) and _north_up(pan)):
            raise SceneError(
                f"{raster.name} or the PAN has turned axes and no CRS: give both one "
                "(gdal_edit -a_srs)"
            )
        return None
    sides = pan.width / raster.width, pan.height / raster.height
    if min(sides) < 1 - EXTENT_TOLERANCE:
        raise SceneError(
            f"{raster.name} is {raster.height}x{raster.width}, larger than the PAN, "
            f"{pan.height}x{pan.width}, and has no georeference: name PAN first"
        )
    whole = max(1, round(min(sides)))
    return float(whole) if abs(min(sides) / whole - 1) <= EXTENT_TOLERANCE else min(sides)


def _names(paths: Sequence[Source]) -> list[str]:
    """File names, with as much of their folders as tells them apart; else numbered."""
    parts = [Path(str(path)).parts for path in paths]
    for count in (1, 2, 3):
        names = ["/".join(part[-count:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    return [f"{i}: {name}" for i, name in enumerate(names, 1)]
