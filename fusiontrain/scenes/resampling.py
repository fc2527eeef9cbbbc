"""Images on another grid: GDAL's cubic warp by windows, and a cubic between pixels."""

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from affine import Affine
from rasterio.enums import Resampling
from rasterio.warp import reproject
from rasterio.warp import transform as warp_points
from torch import Tensor

from fusiontrain.errors import SceneError
from fusiontrain.imaging.tiling import Box
from fusiontrain.scenes.gdal_environment import ReadError, reason
from fusiontrain.scenes.raster import Raster, sample_windows

BEFORE, AFTER = 1, 2  # pixels a cubic needs around the two between which it samples
_LATTICE = 9  # points an axis by which a window is followed to the other grid
_MARGIN = 4  # source pixels beyond it, for a cubic that does not reduce
_ANY_PLANE = "EPSG:3857"  # stands for no CRS


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
        source = self._source_box(box)
        if source is None:
            return torch.zeros(self.base.count, *box.shape), torch.zeros(
                box.shape, dtype=torch.bool
            )
        image, valid = self.base.read_valid(source)
        image = torch.where(valid, image, torch.nan)
        warped = warp_array(
            image.numpy(),
            self.base.transform @ Affine.translation(source.left, source.top),
            self.base.crs,
            shape=box.shape,
            target=self.transform @ Affine.translation(box.left, box.top),
            target_crs=self.crs,
            scale=self.scale,
        )
        result = torch.from_numpy(warped)
        return result, torch.isfinite(result).all(0)

    def sample(self) -> tuple[Tensor, Tensor]:
        return sample_windows(self.height, self.width, self.read_valid)

    def _source_box(self, box: Box) -> Box | None:
        """The base's pixels that `box` is made of."""
        rows = np.linspace(box.top, box.bottom, _LATTICE)
        columns = np.linspace(box.left, box.right, _LATTICE)
        x, y = (v.ravel().tolist() for v in np.meshgrid(columns, rows))
        placed = [self.transform @ point for point in zip(x, y, strict=True)]
        moved = transform_points(
            [p[0] for p in placed],
            [p[1] for p in placed],
            self.crs,
            self.base.crs,
            around=_middle(self.base),
        )
        inside = ~self.base.transform
        points = np.array(
            [inside @ (px, py) for px, py in moved.T.tolist() if math.isfinite(px + py)]
        )
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
    corner = [middle, (middle[0] + 1, middle[1]), (middle[0], middle[1] + 1)]
    points = [ms.transform @ point for point in (*corner, *edge)]
    moved = transform_points(
        [p[0] for p in points], [p[1] for p in points], ms.crs, pan.crs, around=_middle(pan)
    )
    inside = ~pan.transform
    on_pan = np.array([inside @ point for point in moved.T.tolist()])  # floats: NaN is no warning
    if not np.isfinite(on_pan[:3]).all():
        raise SceneError(f"{ms.name} lies outside of what the PAN's CRS, {pan.crs}, can show")
    (a, b), (c, d) = on_pan[1] - on_pan[0], on_pan[2] - on_pan[0]
    return math.sqrt(abs(a * d - b * c)), on_pan[3:][np.isfinite(on_pan[3:]).all(1)]


def transform_points(
    xs: list[float], ys: list[float], source: Any, target: Any, *, around: float | None = None
) -> np.ndarray:
    """(2, N) of points in CRS `target`; infinite where they have no place there.

    Longitudes are those within half a turn of `around`: 180 degrees may be written as -180.
    """
    if source == target:
        moved = np.array([xs, ys], dtype=float)
    else:
        try:
            moved = np.array(warp_points(source, target, xs, ys)[:2], dtype=float)
        except ReadError as error:
            raise SceneError(f"no way from {source} to {target}: {reason(error)}") from error
    if around is not None and is_geographic(target):
        with np.errstate(invalid="ignore"):  # infinite points stay so
            moved[0] -= 360 * np.nan_to_num(np.round((moved[0] - around) / 360), posinf=0, neginf=0)
    return moved


def turned_to(raster: Raster, other: Raster) -> Raster:
    """`raster` with longitudes as `other` writes them, where both are in degrees."""
    if not (is_geographic(raster.crs) and is_geographic(other.crs)):
        return raster
    turns = round((_middle(other) - _middle(raster)) / 360)
    if not turns:
        return raster
    turn = Affine.translation(360 * turns, 0)
    facts = tuple(replace(facts, transform=turn @ facts.transform) for facts in raster.facts)
    return replace(raster, facts=facts)


def is_geographic(crs: Any) -> bool:
    """Whether coordinates are degrees."""
    return crs is not None and bool(crs.is_geographic)


def _middle(raster: Raster) -> float:
    return float((raster.transform @ (raster.width / 2, raster.height / 2))[0])


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

    `scale` is the target's pixels per pixel: given, so that every window is warped alike.
    """
    out = np.full((len(image), *shape), np.nan, dtype=np.float32)
    reproject(
        image,
        out,
        src_transform=grid,
        src_crs=crs or _ANY_PLANE,
        src_nodata=np.nan,
        dst_transform=target,
        dst_crs=target_crs or _ANY_PLANE,
        dst_nodata=np.nan,
        resampling=Resampling.cubic,
        tolerance=0,
        XSCALE=scale,
        YSCALE=scale,
        UNIFIED_SRC_NODATA="YES",
    )
    return out


def cubic_taps(shift: float) -> tuple[float, float, float, float]:
    """Weights of pixels -1, 0, 1, 2 for a sample at `shift` in [0, 1) pixels; their sum is 1.

    Source: Keys 1981, IEEE TASSP 29(6):1153-1160, a = -1/2.
    """
    t = shift
    return (
        t * (-0.5 + t * (1.0 - 0.5 * t)),
        1.0 + t * t * (-2.5 + 1.5 * t),
        t * (0.5 + t * (2.0 - 1.5 * t)),
        t * t * (-0.5 + 0.5 * t),
    )


def sample_between(
    image: Tensor, valid: Tensor, shift: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """(C, H, W) and its (H, W) validity, at rows and columns i + BEFORE + shift.

    Each side loses BEFORE + AFTER pixels. A sample is valid if all pixels it is made of are.
    """
    for axis, part in zip((-2, -1), shift, strict=True):
        length = image.shape[axis] - BEFORE - AFTER
        taps = cubic_taps(part)
        image = torch.stack(
            [image.narrow(axis, k, length) * tap for k, tap in enumerate(taps)]
        ).sum(0)
        valid = torch.stack(
            [valid.narrow(axis, k, length) for k, tap in enumerate(taps) if tap]
        ).all(0)
    return image, valid
