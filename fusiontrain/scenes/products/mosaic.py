"""Tiles of one image, R1C1 and so on, as one: a VRT in memory that names them.

A tile lies where its geotransform says; tiles without one lie row by row, as their names say.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from affine import Affine

from fusiontrain.errors import SceneError
from fusiontrain.scenes.described_file import Mosaic
from fusiontrain.scenes.file_facts import FileFacts
from fusiontrain.scenes.gdal_environment import Source, gdal, name_of
from fusiontrain.scenes.grids import STACK_TOLERANCE
from fusiontrain.scenes.open_raster import open_raster

_MOST_TILES = 10_000
_TYPES = {"uint8": "Byte", "uint16": "UInt16", "int16": "Int16", "float32": "Float32"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Tile:
    """A file, and its place among the others: row and column from 1."""

    source: Path
    row: int = 1
    column: int = 1
    first_band: int = 1  # of the image, that the file's first band is


def mosaic(name: str, tiles: Sequence[Tile]) -> Source:
    """The file itself where there is one; else all of them as one raster.

    Raises: SceneError if a tile cannot be read, or they do not fit each other.
    """
    if not tiles or len(tiles) > _MOST_TILES:
        raise SceneError(f"{name} has {len(tiles)} tiles; expected 1 to {_MOST_TILES}")
    if len(tiles) == 1:
        return tiles[0].source
    facts = []
    for tile in tiles:
        with gdal(), open_raster(tile.source) as raster:
            facts.append(raster.facts[0])
    _check(tiles, facts)
    if _has_place(facts[0]):
        places, transform = _placed(tiles, facts)
    else:
        places, transform = _by_number(tiles, facts), None
    _check_covered(name, tiles, facts, places)
    return Mosaic(name=name, vrt=_text(tiles, facts, places, transform))


def _has_place(facts: FileFacts) -> bool:
    return not facts.transform.is_identity


def _check(tiles: Sequence[Tile], facts: Sequence[FileFacts]) -> None:
    def properties(file: FileFacts) -> dict[str, Any]:
        transform = file.transform
        size = (transform.a, transform.b, transform.d, transform.e)
        return {
            "dtype": str(file.dtype),
            "CRS": str(file.crs),
            "pixel size": tuple(f"{value:.9g}" for value in size),
            "nodata": str(file.nodata),
        }

    first = properties(facts[0])
    for tile, file in zip(tiles, facts, strict=True):
        for what, value in properties(file).items():
            if value != first[what]:
                raise SceneError(
                    f"tiles of one image must share their {what}; {name_of(tile.source)} has "
                    f"{value}, {name_of(tiles[0].source)} {first[what]}"
                )
    if str(facts[0].dtype) not in _TYPES:
        raise SceneError(
            f"{name_of(tiles[0].source)} is of {facts[0].dtype}; expected tiles of one of "
            f"{', '.join(_TYPES)}"
        )


def _placed(
    tiles: Sequence[Tile], facts: Sequence[FileFacts]
) -> tuple[list[tuple[int, int]], Affine]:
    """(column, row) of each tile's first pixel, by the geotransforms; and that of the image."""
    corners = [~facts[0].transform @ (file.transform @ (0, 0)) for file in facts]
    left, top = (min(corner[axis] for corner in corners) for axis in (0, 1))
    places = []
    for tile, corner in zip(tiles, corners, strict=True):
        x, y = corner[0] - left, corner[1] - top
        if max(abs(x - round(x)), abs(y - round(y))) > STACK_TOLERANCE:
            raise SceneError(
                f"{name_of(tile.source)} begins {x:.2f} columns, {y:.2f} rows into the image; "
                "expected whole pixels of the other tiles"
            )
        places.append((round(x), round(y)))
    return places, facts[0].transform @ Affine.translation(left, top)


def _by_number(tiles: Sequence[Tile], facts: Sequence[FileFacts]) -> list[tuple[int, int]]:
    """(column, row) of each tile's first pixel: behind those of lower numbers."""
    widths: dict[int, int] = {}
    heights: dict[int, int] = {}
    for tile, file in zip(tiles, facts, strict=True):
        same = (
            widths.setdefault(tile.column, file.width) == file.width
            and heights.setdefault(tile.row, file.height) == file.height
        )
        if not same:
            raise SceneError(
                f"{name_of(tile.source)} has {file.height}x{file.width} pixels; expected the "
                "height of its row of tiles and the width of its column"
            )
    return [
        (
            sum(width for column, width in widths.items() if column < tile.column),
            sum(height for row, height in heights.items() if row < tile.row),
        )
        for tile in tiles
    ]


def _check_covered(
    name: str,
    tiles: Sequence[Tile],
    facts: Sequence[FileFacts],
    places: Sequence[tuple[int, int]],
) -> None:
    """Raises: SceneError if tiles leave a gap: one is missing."""
    bands = {tile.first_band for tile in tiles}
    width, height = _size(facts, places)
    for band in bands:
        covered = sum(
            file.width * file.height
            for tile, file in zip(tiles, facts, strict=True)
            if tile.first_band == band
        )
        if covered < width * height:
            raise SceneError(
                f"{name}: its tiles cover {covered} of {width * height} pixels; expected all: a "
                "tile is missing, download the product again"
            )


def _size(facts: Sequence[FileFacts], places: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Columns, rows of the image."""
    both = list(zip(facts, places, strict=True))
    return max(x + f.width for f, (x, _) in both), max(y + f.height for f, (_, y) in both)


def _text(
    tiles: Sequence[Tile],
    facts: Sequence[FileFacts],
    places: Sequence[tuple[int, int]],
    transform: Affine | None,
) -> str:
    first = facts[0]
    width, height = _size(facts, places)
    count = max(tile.first_band + file.count - 1 for tile, file in zip(tiles, facts, strict=True))
    lines = [f'<VRTDataset rasterXSize="{width}" rasterYSize="{height}">']
    if transform is not None:
        a, b, c, d, e, f = map(float, transform[:6])
        lines.append(f"<SRS>{escape(first.crs.to_wkt() if first.crs else '')}</SRS>")
        lines.append(f"<GeoTransform>{c!r}, {a!r}, {b!r}, {f!r}, {d!r}, {e!r}</GeoTransform>")
    for band in range(1, count + 1):
        lines.append(f'<VRTRasterBand dataType="{_TYPES[str(first.dtype)]}" band="{band}">')
        if first.nodata is not None:
            lines.append(f"<NoDataValue>{first.nodata!r}</NoDataValue>")
        for tile, file, place in zip(tiles, facts, places, strict=True):
            inner = band - tile.first_band + 1
            if 1 <= inner <= file.count:
                lines.append(_source(tile, file, place, inner))
        lines.append("</VRTRasterBand>")
    return "".join([*lines, "</VRTDataset>"])


def _source(tile: Tile, file: FileFacts, place: tuple[int, int], band: int) -> str:
    size = f'xSize="{file.width}" ySize="{file.height}"'
    path = escape(str(Path(tile.source).absolute()))
    return (
        "<SimpleSource>"
        f'<SourceFilename relativeToVRT="0">{path}</SourceFilename>'
        f"<SourceBand>{band}</SourceBand>"
        f'<SourceProperties RasterXSize="{file.width}" '
        f'RasterYSize="{file.height}" '
        f'DataType="{_TYPES[str(file.dtype)]}"/>'
        f'<SrcRect xOff="0" yOff="0" {size}/>'
        f'<DstRect xOff="{place[0]}" yOff="{place[1]}" {size}/>'
        "</SimpleSource>"
    )
