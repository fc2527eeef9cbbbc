"""Bands seen on another grid, window by window: GDAL's cubic warp, every window alike."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from affine import Affine
from torch import Tensor

from fusiontrain.errors import SceneError
from fusiontrain.imaging.tiling import Box
from fusiontrain.scenes.raster import Raster, move_points, spread, warp_array

_LATTICE = 9  # points an axis by which a window is followed to the other grid
_MARGIN = 4  # source pixels beyond it, for a cubic that does not reduce


@dataclass(frozen=True, kw_only=True, slots=True)
class WarpedRaster:
    """`base` on the grid `transform` in `crs`; read as a Raster is."""

    base: Raster = field(repr=False)
    crs: Any
    transform: Affine
    height: int
    width: int
    scale: float  # pixels of this grid per pixel of the base's

    def read_valid(self, box: Box) -> tuple[Tensor, Tensor]:
        """(C, h, w) float32 and (h, w) bool. What the base does not cover is not valid."""
        there = self._source(box)
        if there is None:
            return torch.zeros(self.base.count, *box.shape), torch.zeros(
                box.shape, dtype=torch.bool
            )
        image, valid = self.base.read_valid(there)
        image = torch.where(valid, image, torch.nan)
        seen = warp_array(
            image.numpy(),
            self.base.transform @ Affine.translation(there.left, there.top),
            self.base.crs,
            shape=box.shape,
            target=self.transform @ Affine.translation(box.left, box.top),
            target_crs=self.crs,
            scale=self.scale,
        )
        result = torch.from_numpy(seen)
        return result, torch.isfinite(result).all(0)

    def sample(self) -> tuple[Tensor, Tensor]:
        return spread(self.height, self.width, self.read_valid)

    def _source(self, box: Box) -> Box | None:
        """The base's pixels that `box` is made of."""
        rows = np.linspace(box.top, box.bottom, _LATTICE)
        columns = np.linspace(box.left, box.right, _LATTICE)
        x, y = (v.ravel().tolist() for v in np.meshgrid(columns, rows))
        placed = [self.transform @ point for point in zip(x, y, strict=True)]
        moved = move_points([p[0] for p in placed], [p[1] for p in placed], self.crs, self.base.crs)
        inside = ~self.base.transform
        points = np.array([inside @ (px, py) for px, py in moved.T if math.isfinite(px + py)])
        if not len(points):
            return None
        margin = math.ceil(_MARGIN * max(1.0, 1 / self.scale))
        low, high = np.floor(points.min(0)) - margin, np.ceil(points.max(0)) + margin
        top, left = max(0, int(low[1])), max(0, int(low[0]))
        bottom, right = (
            min(self.base.height, int(high[1])),
            min(self.base.width, int(high[0])),
        )
        return (
            Box(top=top, left=left, bottom=bottom, right=right)
            if top < bottom and left < right
            else None
        )


def pan_pixels_per_ms_pixel(pan: Raster, ms: Raster) -> tuple[float, np.ndarray]:
    """PAN pixels along a side of an MS pixel, in the middle of the MS; and (N, 2) of MS's edge.

    The edge is a line of points (column, row) in PAN pixels.
    Raises: SceneError if the middle of the MS has no place in the PAN's CRS.
    """
    steps = np.linspace(0, 1, 33)
    edge = [
        *((t * ms.width, 0.0) for t in steps),
        *((t * ms.width, float(ms.height)) for t in steps),
        *((0.0, t * ms.height) for t in steps),
        *((float(ms.width), t * ms.height) for t in steps),
    ]
    middle = (ms.width / 2, ms.height / 2)
    near = [middle, (middle[0] + 1, middle[1]), (middle[0], middle[1] + 1)]
    points = [ms.transform @ point for point in (*near, *edge)]
    moved = move_points([p[0] for p in points], [p[1] for p in points], ms.crs, pan.crs)
    inside = ~pan.transform
    seen = np.array([inside @ (x, y) for x, y in moved.T])
    if not np.isfinite(seen[:3]).all():
        raise SceneError(f"{ms.name} lies outside of what the PAN's CRS, {pan.crs}, can show")
    (a, b), (c, d) = seen[1] - seen[0], seen[2] - seen[0]
    return math.sqrt(abs(a * d - b * c)), seen[3:][np.isfinite(seen[3:]).all(1)]
