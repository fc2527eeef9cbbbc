"""Pixels that a product's own masks rule out: layers of an image, or polygons, read by blocks."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from affine import Affine
from rasterio.features import rasterize
from rasterio.windows import Window

from fusiontrain.errors import SceneError
from fusiontrain.imaging.tiling import Box
from fusiontrain.scenes.described_file import DescribedFile, MaskImage, MaskPolygons
from fusiontrain.scenes.file_facts import FileFacts
from fusiontrain.scenes.gdal_environment import Source
from fusiontrain.scenes.read_errors import reading

_SIDE = 1024  # pixels of a block: that of Sentinel-2's images


@dataclass(frozen=True, kw_only=True, slots=True)
class QualityMask:
    """Where pixels are ruled out, on the grid of one image. Each block is read once."""

    height: int
    width: int
    read: Callable[[Box], np.ndarray] = field(repr=False)  # (h, w) bool: ruled out
    known: dict[tuple[int, int], np.ndarray | None] = field(default_factory=dict, repr=False)

    def ruled_out(self, box: Box) -> np.ndarray | None:
        """(h, w) bool of `box`, which lies in the image; None: no pixel of it is."""
        out = None
        for block, found in self._blocks(box):
            if found is None:
                continue
            if out is None:
                out = np.zeros(box.shape, bool)
            top, left = max(box.top, block.top), max(box.left, block.left)
            bottom, right = min(box.bottom, block.bottom), min(box.right, block.right)
            part = found[
                top - block.top : bottom - block.top, left - block.left : right - block.left
            ]
            out[top - box.top : bottom - box.top, left - box.left : right - box.left] = part
        return out

    def count(self, box: Box) -> int:
        """Pixels of `box` that are ruled out."""
        found = self.ruled_out(box)
        return 0 if found is None else int(found.sum())

    def _blocks(self, box: Box) -> Iterator[tuple[Box, np.ndarray | None]]:
        for row in range(box.top // _SIDE, -(-box.bottom // _SIDE)):
            for column in range(box.left // _SIDE, -(-box.right // _SIDE)):
                top, left = row * _SIDE, column * _SIDE
                block = Box(
                    top=top,
                    left=left,
                    bottom=min(top + _SIDE, self.height),
                    right=min(left + _SIDE, self.width),
                )
                if (row, column) not in self.known:
                    found = self.read(block)
                    self.known[row, column] = found if found.any() else None
                yield block, self.known[row, column]


def open_mask(
    source: Source, facts: FileFacts, opened: Callable[[Source], tuple[Any, FileFacts]]
) -> QualityMask | None:
    """That of an image's product; `facts`: of the image; `opened`: opens and checks a file.

    Raises: SceneError if it is of another size than the image.
    """
    mask = source.mask if isinstance(source, DescribedFile) else None
    height, width = facts.height, facts.width
    if mask is None:
        return None
    if isinstance(mask, MaskPolygons):
        return QualityMask(height=height, width=width, read=_reads_polygons(mask, facts.transform))
    file, own = opened(mask.source)
    if (own.height, own.width) != (height, width) or own.count < max(mask.layers):
        raise SceneError(
            f"{mask} is {own.height}x{own.width} with {own.count} layers; expected "
            f"{height}x{width} with {max(mask.layers)} or more, as of {source}: download it again"
        )
    return QualityMask(height=height, width=width, read=_reads_image(mask, file))


def _reads_image(mask: MaskImage, file: Any) -> Callable[[Box], np.ndarray]:
    def read(box: Box) -> np.ndarray:
        h, w = box.shape
        with reading(str(mask)):
            layers = file.read(mask.layers, window=Window(box.left, box.top, w, h))
        return (layers != 0).any(0)

    return read


def _reads_polygons(mask: MaskPolygons, transform: Affine) -> Callable[[Box], np.ndarray]:
    """Every pixel that a polygon touches."""
    shapes = [{"type": "Polygon", "coordinates": rings} for rings in mask.polygons]

    def read(box: Box) -> np.ndarray:
        if not shapes:
            return np.zeros(box.shape, bool)
        placed = transform @ Affine.translation(box.left, box.top)
        return rasterize(shapes, box.shape, transform=placed, all_touched=True) != 0

    return read
