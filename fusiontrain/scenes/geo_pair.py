"""An aligned PAN and MS in files, read by windows."""

import math
import threading
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from affine import Affine
from torch import Tensor
from torch.nn import functional as F

from fusiontrain.errors import SceneError
from fusiontrain.imaging.masks import pan_valid_mask
from fusiontrain.imaging.pan_batch import GridPhase
from fusiontrain.imaging.phase_correlation import ShiftEstimate
from fusiontrain.imaging.tiling import Box
from fusiontrain.scenes.output_values import pair_nodata
from fusiontrain.scenes.raster import Raster
from fusiontrain.scenes.resampling import AFTER, BEFORE, WarpedRaster, sample_between
from fusiontrain.scenes.scene import Window, check_side


@dataclass(frozen=True, kw_only=True, slots=True)
class GeoPair:
    """An open, aligned PAN and MS; `shape` is their overlap. Satisfies WindowedScene.

    Several threads may read windows: GDAL's files serve one at a time.
    """

    ratio: int
    shape: tuple[int, int]  # h, w of the overlap, MS pixels
    ms_origin: tuple[int, int]  # row, column of the overlap in the MS file
    pan_origin: tuple[int, int]  # row, column of the overlap in the PAN file
    ms_shift: tuple[float, float] = (0.0, 0.0)  # MS pixels beyond ms_origin at which MS is sampled
    ms_fill: Tensor = field(repr=False)  # (C,) stands in for missing pixels, in every window
    pan_fill: Tensor = field(repr=False)  # (1,)
    ms_file: Raster = field(repr=False)
    pan_file: Raster = field(repr=False)
    ms_warped: WarpedRaster | None = field(default=None, repr=False)  # MS on the PAN's grid
    note: str = ""  # what was assumed about the alignment, and done
    match: ShiftEstimate | None = None
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @property
    def bands(self) -> int:
        return self.ms_file.count

    @property
    def phase(self) -> GridPhase:
        return "aligned"

    @property
    def dtype(self) -> np.dtype:
        return self.ms_file.dtype

    @property
    def bits(self) -> int | None:
        """Of the MS's DN, where its files say that they are fewer than the dtype's (NBITS)."""
        bits = [facts.bits for facts in self.ms_file.facts]
        return max(b or 0 for b in bits) if all(bits) else None

    @property
    def nodata(self) -> float | None:
        """Of the output."""
        pan, ms = self.pan_file, self.ms_file
        return pair_nodata(pan.nodata, ms.nodata, pan.dtype, self.dtype)

    @property
    def masked(self) -> bool:
        """Whether pixels may be missing though no value says so."""
        files = (self.ms_file, self.pan_file)
        has_mask = any(file.masked or file.alpha is not None for file in files)
        return has_mask or self.ms_warped is not None

    @property
    def placed(self) -> bool:
        return self.pan_file.placed

    @property
    def transform(self) -> Affine:
        """Of the overlap, on the PAN's grid."""
        row, column = self.pan_origin
        return self.pan_file.transform @ Affine.translation(column, row)

    def read(self, box: Box) -> Window:
        fine = _moved(box.scaled(self.ratio), self.pan_origin)
        with self.lock:
            pan, pan_valid = self.pan_file.read_valid(fine)
            ms, ms_valid = self._read_ms(_moved(box, self.ms_origin))
        return Window(
            ms=_filled(ms, ms_valid, self.ms_fill),
            pan=_filled(pan, pan_valid, self.pan_fill),
            valid=pan_valid_mask(ms_valid, self.ratio) & pan_valid,
        )

    def read_ms(self, box: Box) -> Tensor:
        """(C, h, w) of the MS, as its file has it where pixels are missing."""
        with self.lock:
            return self._read_ms(_moved(box, self.ms_origin))[0]

    def cropped(self, bbox: tuple[float, float, float, float]) -> "GeoPair":
        """The part in (left, bottom, right, top) of the PAN's CRS, to whole MS pixels outwards.

        Raises: SceneError if the box is empty, or misses the overlap.
        """
        left, bottom, right, top = bbox
        if not (left < right and bottom < top and all(map(math.isfinite, bbox))):
            raise SceneError(f"`bbox` is LEFT BOTTOM RIGHT TOP, in that order; got {bbox}")
        inside = ~(self.transform @ Affine.scale(self.ratio))
        corners = [inside @ (x, y) for x in (left, right) for y in (bottom, top)]
        (h, w), rounding = self.shape, 1e-6
        columns, rows = ([corner[i] for corner in corners] for i in (0, 1))
        y0, y1 = max(0, math.floor(min(rows) + rounding)), min(h, math.ceil(max(rows) - rounding))
        x0, x1 = (
            max(0, math.floor(min(columns) + rounding)),
            min(w, math.ceil(max(columns) - rounding)),
        )
        if y0 >= y1 or x0 >= x1:
            raise SceneError(
                f"`bbox` {bbox} does not overlap PAN and MS, which cover {self.pan_file.bounds}"
            )
        check_side((y1 - y0, x1 - x0))
        return replace(
            self,
            shape=(y1 - y0, x1 - x0),
            ms_origin=(self.ms_origin[0] + y0, self.ms_origin[1] + x0),
            pan_origin=(
                self.pan_origin[0] + y0 * self.ratio,
                self.pan_origin[1] + x0 * self.ratio,
            ),
        )

    def _read_ms(self, box: Box) -> tuple[Tensor, Tensor]:
        """(C, h, w) and (h, w) validity of `box` in the MS file, sampled at ms_shift beyond it."""
        source = self.ms_warped or self.ms_file
        if self.ms_shift == (0.0, 0.0):
            return source.read_valid(box)
        padded = Box(
            top=box.top - BEFORE,
            left=box.left - BEFORE,
            bottom=box.bottom + AFTER,
            right=box.right + AFTER,
        )
        inside = Box(
            top=max(0, padded.top),
            left=max(0, padded.left),
            bottom=min(self.ms_file.height, padded.bottom),
            right=min(self.ms_file.width, padded.right),
        )
        ms, valid = source.read_valid(inside)
        ms = torch.where(valid, ms, self.ms_fill[:, None, None])
        pad = (
            inside.left - padded.left,
            padded.right - inside.right,
            inside.top - padded.top,
            padded.bottom - inside.bottom,
        )
        ms = F.pad(ms[None], pad, mode="replicate")[0]
        valid = F.pad(valid[None, None].float(), pad, mode="replicate")[0, 0].bool()
        return sample_between(ms, valid, self.ms_shift)


def _filled(image: Tensor, valid: Tensor, fill: Tensor) -> Tensor:
    """`fill`, one a band, where an image is not valid; most windows are valid throughout."""
    return image if bool(valid.all()) else torch.where(valid, image, fill[:, None, None])


def _moved(box: Box, origin: tuple[int, int]) -> Box:
    row, column = origin
    return Box(
        top=box.top + row,
        left=box.left + column,
        bottom=box.bottom + row,
        right=box.right + column,
    )
