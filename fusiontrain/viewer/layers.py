"""Files read at any scale on the PAN's grid, and pictures of them. The only rio_tiler import."""

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
from fusiontrain.scenes.gdal_environment import ReadError, Source, gdal, reason
from fusiontrain.scenes.huge_values import SMALLEST_HUGE
from fusiontrain.scenes.open_raster import open_raster
from fusiontrain.scenes.raster import Raster
from fusiontrain.scenes.raster_metadata import band_names
from fusiontrain.viewer.pan_grid import SIDE, Grid, View, layer_scale, north_up, pan_grid

_LARGE = 2**24  # pixels; a file over it without overviews is slow from afar


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
        """Labels of the bands, from 1."""
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
            raise SceneError(f"{self.name} broke off while being read: {reason(error)}") from error

    def limits(self, bands: Sequence[int], cut: float, view: View | None) -> list[list[float]]:
        """[low, high] of each band, `cut` percent of pixels beyond either; of `view`, or of all."""
        if view is None:
            with self._lock:
                image, valid = self.raster.pick(bands).sample(shown=True)
            values = [band[valid].numpy() for band in image]
        else:
            values = [band.compressed() for band in self.read(view, bands, (SIDE, SIDE))]
            values = [band[np.abs(band) < SMALLEST_HUGE] for band in values]  # an undeclared fill
        ends = [np.percentile(v, [cut, 100 - cut]) if v.size else (0.0, 1.0) for v in values]
        return [[float(low), float(high)] for low, high in ends]

    @property
    def _as_it_lies(self) -> bool:
        return self.raster.crs == self.grid.crs and north_up(self.raster)

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
        common = left, top, right, bottom
        columns = [round((v - view[0]) / per[0]) for v in (common[0], common[2])]
        rows = [round((v - view[1]) / per[1]) for v in (common[1], common[3])]
        if columns[0] >= columns[1] or rows[0] >= rows[1]:
            return out
        size = rows[1] - rows[0], columns[1] - columns[0]
        resampling = self._resampling(per[0], smooth)
        file = self.raster.files[0]
        if self.scale is not None:
            left, top, right, bottom = (v / self.scale for v in common)
            box = left, bottom, right, top
            with ImageReader(None, dataset=file) as image:
                part = image.part(
                    box, indexes=bands, height=size[0], width=size[1], resampling_method=resampling
                )
        else:
            part = reader.part(
                file,
                self.grid.placed(common),
                indexes=bands,
                height=size[0],
                width=size[1],
                resampling_method=resampling,
            )
        out[:, rows[0] : rows[1], columns[0] : columns[1]] = self._masked(part)
        return out

    def _warped(
        self, view: View, bands: Sequence[int], shape: tuple[int, int], smooth: bool
    ) -> np.ma.MaskedArray:
        """By GDAL's warp, into the PAN's CRS and axes."""
        resampling = self._resampling((view[2] - view[0]) / shape[1], smooth)
        with Reader(None, dataset=self.raster.files[0]) as image:
            part = image.part(
                self.grid.placed(view),
                indexes=bands,
                dst_crs=self.grid.crs,
                bounds_crs=self.grid.crs,
                height=shape[0],
                width=shape[1],
                reproject_method=resampling,
                vrt_options={"tolerance": 0.01},  # with none, turned axes would not be warped
            )
        return self._masked(part, warped=True)

    def _resampling(self, pan_pixels: float, smooth: bool) -> Any:
        """`pan_pixels` an output pixel."""
        own = self.scale or 1.0
        if self.scale is None and self.grid.pixel is not None:
            low, high = self._extent()[0::2]
            own = (high - low) / self.raster.width if self._as_it_lies else 1.0
        if self._flagged and self._as_it_lies:
            return "nearest"  # the others leave out what that band, taken for a mask, has 0 at
        return "average" if pan_pixels > own else "cubic" if smooth else "nearest"

    def _masked(self, part: ImageData, *, warped: bool = False) -> np.ma.MaskedArray:
        """`warped`: the file may not cover all pixels."""
        data = part.array
        if part.alpha_mask is not None:  # a true alpha may be full at 1 or 255, too
            missing = part.alpha_mask == 0 if warped or not self._flagged else False
            data = np.ma.MaskedArray(data.data, mask=np.broadcast_to(missing, data.shape))
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
    """PAN's grid; the layers, PAN first; and lines for the user.

    Files without a geotransform, or all where PAN has none, are laid on PAN from its upper left
    corner on, as `fuse` with `assume_aligned` does.
    Raises: SceneError if a file cannot be read, PAN has several bands, or a file cannot be laid
            on PAN.
    """
    with ExitStack() as stack:
        # Notes say what these warn of. Not around each read: filters are the process's.
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.enter_context(gdal(threads))
        first = stack.enter_context(open_raster(pan))
        if first.count != 1:
            raise SceneError(
                f"PAN must have one band; {first.name} has {first.count}: name PAN first, then MS"
            )
        grid = pan_grid(first)
        rasters = [first, *(stack.enter_context(open_raster(path)) for path in others)]
        names = _names([pan, *others])
        layers, notes, unplaced = [], [], []
        for name, raster in zip(names, rasters, strict=True):
            scale = layer_scale(first, raster)
            if scale is not None and raster is not first:
                unplaced.append(name)
            large = raster.height * raster.width > _LARGE
            if large and not raster.files[0].overviews(1):
                notes.append(
                    f"{name} has no overviews: slow from afar (gdaladdo -r average, or a COG)"
                )
            layers.append(Layer(name=name, raster=raster, grid=grid, scale=scale))
        if unplaced:
            notes.insert(
                0, f"no georeference, laid on the PAN from its corner: {', '.join(unplaced)}"
            )
        yield grid, layers, notes


def _names(paths: Sequence[Source]) -> list[str]:
    """File names, with as many of their folders as make them differ; else numbered."""
    parts = [Path(str(path)).parts for path in paths]
    for count in (1, 2, 3):
        names = ["/".join(part[-count:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    return [f"{i}: {name}" for i, name in enumerate(names, 1)]
