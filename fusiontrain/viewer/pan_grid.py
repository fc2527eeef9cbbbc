"""The grid that every layer is shown on: PAN's pixels, north up."""

from dataclasses import dataclass
from typing import Any

from fusiontrain.errors import SceneError
from fusiontrain.scenes.grids import EXTENT_TOLERANCE, check_crs
from fusiontrain.scenes.raster import Raster

SIDE = 256  # pixels of a tile

View = tuple[float, float, float, float]  # left, top, right, bottom in PAN pixels


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid:
    """PAN's pixels, north up; views are counted in them."""

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
        """Pixels of a tile. Raises: SceneError if there is no such tile."""
        side = SIDE << level if 0 <= level <= self.levels else 0
        if not side or not (0 <= column * side < self.width and 0 <= row * side < self.height):
            raise SceneError(f"no tile {level}/{column}/{row}")
        return column * side, row * side, (column + 1) * side, (row + 1) * side

    @property
    def size(self) -> tuple[float, float]:
        """Of a pixel in the CRS; 1 without georeference."""
        return self.pixel or (1.0, 1.0)

    def placed(self, view: View) -> View:
        """(left, bottom, right, top) in the CRS."""
        (x, y), (dx, dy) = self.corner, self.size
        left, top, right, bottom = view
        return x + left * dx, y - bottom * dy, x + right * dx, y - top * dy


def pan_grid(pan: Raster) -> Grid:
    if not pan.placed:
        return Grid(width=pan.width, height=pan.height)
    if north_up(pan):
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


def north_up(raster: Raster) -> bool:
    t = raster.transform
    return t.b == t.d == 0 and t.a > 0 > t.e


def layer_scale(pan: Raster, raster: Raster) -> float | None:
    """PAN pixels a pixel of a layer without georeference; None where both have one."""
    if pan.placed and raster.placed:
        check_crs(pan.crs, raster.crs, raster.name)
        if raster.crs is None and not (north_up(raster) and north_up(pan)):
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
