"""Bands of one or more open files on one grid, read by windows.

torch is imported where pixels are read: a file that is refused is refused without it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from affine import Affine
from rasterio.windows import Window

from fusiontrain.errors import SceneError
from fusiontrain.imaging.tiling import Box
from fusiontrain.scenes.file_facts import FileFacts
from fusiontrain.scenes.gdal_environment import Source, name_of
from fusiontrain.scenes.huge_values import SMALLEST_HUGE, check_huge, may_be_huge
from fusiontrain.scenes.quality_mask import QualityMask
from fusiontrain.scenes.read_errors import reading

if TYPE_CHECKING:
    from torch import Tensor

Nodata = float | Literal["none"] | None  # None: as the files say
EVERY_VALUE: Literal["none"] = "none"  # no value marks missing pixels; masks still do
_SAMPLES, _SAMPLE_SIDE = 5, 128  # windows an axis, and their pixels a side, that sample a file


@dataclass(frozen=True, kw_only=True, slots=True)
class Raster:
    """Open bands on one grid: of one file, or one of each of several."""

    paths: tuple[Source, ...]
    files: tuple[Any, ...] = field(repr=False)
    facts: tuple[FileFacts, ...] = field(repr=False)
    bands: tuple[int, ...]  # that are measurements, in the order read; of several files: of all
    alpha: int | None = None  # the band that is a mask
    given: Nodata = None  # what marks missing pixels beside the file's own value
    masks: tuple[QualityMask | None, ...] = field(default=(), repr=False)  # one a file

    @property
    def name(self) -> str:
        more = f" (and {len(self.paths) - 1} more)" if len(self.paths) > 1 else ""
        return f"{name_of(self.paths[0])}{more}"

    @property
    def masked(self) -> bool:
        """Whether a file has a mask of its own."""
        return any(facts.masked for facts in self.facts)

    @property
    def count(self) -> int:
        return len(self.bands)

    @property
    def height(self) -> int:
        return self.facts[0].height

    @property
    def width(self) -> int:
        return self.facts[0].width

    @property
    def dtype(self) -> np.dtype:
        return self.facts[0].dtype

    @property
    def nodata(self) -> float | None:
        """The value that marks missing pixels: as given, else the file's."""
        if self.given == EVERY_VALUE:
            return None
        return self.facts[0].nodata if self.given is None else float(self.given)

    @property
    def marks(self) -> tuple[float, ...]:
        """Every value but NaN that marks missing pixels."""
        if self.given == EVERY_VALUE:
            return ()
        values = {self.nodata, self.facts[0].nodata, self.facts[0].saturated}
        return tuple(value for value in values if value is not None and not math.isnan(value))

    @property
    def crs(self) -> Any:
        return self.facts[0].crs

    @property
    def transform(self) -> Affine:
        return self.facts[0].transform

    @property
    def placed(self) -> bool:
        """Whether pixels have a place on the ground; with RPCs or GCPs alone they have none."""
        return not self.transform.is_identity

    @property
    def bounds(self) -> str:
        left, top = self.transform @ (0, 0)
        right, bottom = self.transform @ (self.width, self.height)
        return f"({left:.6g}, {bottom:.6g})-({right:.6g}, {top:.6g})"

    @property
    def band_facts(self) -> list[tuple[FileFacts, int]]:
        """(what its file says, its place in there from 0) of each band."""
        if len(self.facts) == 1:
            return [(self.facts[0], band - 1) for band in self.bands]
        return [(self.facts[band - 1], 0) for band in self.bands]

    @property
    def band_files(self) -> list[tuple[Any, int]]:
        """(file, its band from 1) of each band."""
        if len(self.files) == 1:
            return [(self.files[0], band) for band in self.bands]
        return [(self.files[band - 1], 1) for band in self.bands]

    def pick(self, bands: Sequence[int]) -> Raster:
        """Some bands, from 1, in this order. Raises: SceneError if there is no such band."""
        wrong = [band for band in bands if not 1 <= band <= self.count]
        if wrong or not bands:
            raise SceneError(f"bands of {self.name} go from 1 to {self.count}; got {[*bands]}")
        return replace(self, bands=tuple(self.bands[band - 1] for band in bands))

    def read(self, box: Box) -> Tensor:
        """(C, h, w) float32 of `box`, in this raster's pixels."""
        import torch

        window = _window(box)
        with reading(self.name):
            if len(self.files) == 1:
                data = self.files[0].read(self.bands, window=window, out_dtype="float32")
            else:
                data = np.stack(
                    [
                        file.read(band, window=window, out_dtype="float32")
                        for file, band in self.band_files
                    ]
                )
        return torch.from_numpy(data)

    def valid(self, image: Tensor) -> Tensor:
        """(H, W) bool: where `image` has data, by value.

        NaN, infinities and values that are no reading hide a pixel by one band. 0 is a reading
        too, of shade or water, so it does where all bands have it.
        """
        if all(facts.dtype.kind in "iu" for facts in self.facts):  # integers are finite
            valid = image.new_ones(image.shape[1:]).bool()
        else:
            valid = image.isfinite().all(0)
        for value in self.marks:
            marked = image == image.new_tensor(value)
            valid = valid & ~(marked.all(0) if value == 0 else marked.any(0))
        return valid

    def partly_marked(self, image: Tensor) -> Tensor:
        """(H, W) bool: where some bands have a value that marks missing pixels, and some not."""
        partly = image.new_zeros(image.shape[1:]).bool()
        for value in self.marks:
            marked = image == image.new_tensor(value)
            partly |= marked.any(0) & ~marked.all(0)
        return partly

    def read_valid(self, box: Box) -> tuple[Tensor, Tensor]:
        """`read`, and (h, w) bool: where all bands have data, by value and by masks.

        Raises: SceneError as check_huge, if a value looks like nodata that is not declared.
        """
        image, valid = self._read_masked(box)
        if may_be_huge(self.dtype):
            check_huge(self.name, image, valid)
        return image, valid

    def read_shown(self, box: Box) -> tuple[Tensor, Tensor]:
        """read_valid to look at: huge values are missing, and none is refused."""
        image, valid = self._read_masked(box)
        return image, valid & (image.abs() < SMALLEST_HUGE).all(0)

    def _read_masked(self, box: Box) -> tuple[Tensor, Tensor]:
        import torch

        image = self.read(box)
        valid = self.valid(image)
        window = _window(box)
        with reading(self.name):
            if self.alpha is not None:
                valid &= torch.from_numpy(self.files[0].read(self.alpha, window=window) > 0)
            if self.masked:
                for file in self.files:
                    valid &= torch.from_numpy(file.read_masks(window=window).min(0) > 0)
        for mask in filter(None, self.band_masks):
            hidden = mask.ruled_out(box)
            if hidden is not None:
                valid &= torch.from_numpy(~hidden)
        return image, valid

    def sample(self, *, shown: bool = False) -> tuple[Tensor, Tensor]:
        """read_valid, or read_shown, of windows spread over all of it: a bounded cost."""
        read = self.read_shown if shown else self.read_valid
        return sample_windows(self.height, self.width, read)

    @property
    def band_masks(self) -> list[QualityMask | None]:
        """Of each band, where its product has a mask."""
        if len(self.masks) < 2:
            return [*self.masks] * self.count
        return [self.masks[band - 1] for band in self.bands]


def _window(box: Box) -> Window:
    h, w = box.shape
    return Window(box.left, box.top, w, h)


def sample_windows(
    height: int, width: int, read: Callable[[Box], tuple[Tensor, Tensor]]
) -> tuple[Tensor, Tensor]:
    """(C, h, N) and (h, N): `read` at windows spread over (height, width), side by side."""
    import torch

    h, w = min(height, _SAMPLE_SIDE), min(width, _SAMPLE_SIDE)
    tops, lefts = (
        sorted({round(i * (size - side) / (_SAMPLES - 1)) for i in range(_SAMPLES)})
        for size, side in ((height, h), (width, w))
    )
    windows = [
        read(Box(top=top, left=left, bottom=top + h, right=left + w))
        for top in tops
        for left in lefts
    ]
    images, masks = zip(*windows, strict=True)
    return torch.cat(images, 2), torch.cat(masks, 1)


def band_means(image: Tensor, valid: Tensor) -> Tensor:
    """(C,) means of the valid pixels of (C, h, w); 0 where there are none."""
    total = image.where(valid, 0.0).double().sum((-2, -1))
    return total.div(max(1, int(valid.sum()))).float()
