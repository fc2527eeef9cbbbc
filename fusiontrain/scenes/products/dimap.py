"""DIMAP 2 of Airbus: Pleiades, Pleiades Neo and SPOT 6/7, PAN and MS as DIM_*.XML and their tiles.

Source: Airbus, Pleiades Imagery User Guide, and SPOT 6 and 7 Imagery User Guide, DIMAP V2.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from fusiontrain.errors import SceneError
from fusiontrain.scenes.described_file import BandDescription, DescribedFile
from fusiontrain.scenes.products.mosaic import Tile, mosaic
from fusiontrain.scenes.products.package import FolderPackage, is_plain
from fusiontrain.scenes.products.product import Product, tags_of
from fusiontrain.scenes.products.product_xml import (
    LARGEST,
    number,
    parse_xml,
    special_values,
    text_of,
)

METADATA = re.compile(r"DIM_.+\.XML", re.IGNORECASE)
_PAN_MODES = ("P", "PAN")
_COLOURS = {"B0": "blue", "B1": "green", "B2": "red", "B3": "nir", "P": "pan", "PAN": "pan"}
_COLOURS |= {"R": "red", "G": "green", "B": "blue", "NIR": "nir", "RE": "rededge"}
_COLOURS |= {"DB": "coastal"}  # Pleiades Neo's deep blue


@dataclass(frozen=True, kw_only=True, slots=True)
class _Component:
    """One image: its metadata, read."""

    name: str  # of the metadata's file in the package
    shown: str
    root: Any
    mode: str  # P, MS, PMS, ...

    @property
    def is_pan(self) -> bool:
        return self.mode in _PAN_MODES


def holds_dimap(package: FolderPackage) -> bool:
    return any(METADATA.fullmatch(PurePosixPath(name).name) for name in package.files)


def read_dimap(package: FolderPackage, place: Path) -> Product:
    """Raises: SceneError unless there is one PAN and one MS, whole, with readable metadata."""
    components = [
        _component(package, name)
        for name in package.files
        if METADATA.fullmatch(PurePosixPath(name).name)
    ]
    pans = [component for component in components if component.is_pan]
    others = [component for component in components if not component.is_pan]
    if len(pans) != 1 or len(others) != 1:
        found = ", ".join(f"{component.name} ({component.mode})" for component in components)
        raise SceneError(
            f"{package.name}: expected the DIM_*.XML of one PAN and of one MS; got {found}: give "
            "the folder of a bundle with both, or PAN MS OUT"
        )
    pan, ms = (_described(package, component) for component in (pans[0], others[0]))
    mission = ms.tags.get("MISSION", "DIMAP")
    name = text_of(others[0].root, "DATASET_NAME") or package.name
    return Product(name=name, kind=f"{mission} DIMAP", sharp=(pan,), ms=(ms,), place=place)


def _component(package: FolderPackage, name: str) -> _Component:
    shown = f"{package.name}/{name}"
    root = parse_xml(package.read(name, LARGEST), shown)
    version = next((element.get("version", "") for element in root.iter("METADATA_FORMAT")), "")
    if root.tag != "Dimap_Document" or not version.startswith("2"):
        raise SceneError(
            f"{shown} is of format {root.tag} {version}; expected DIMAP of version 2: give PAN MS "
            "OUT"
        )
    mode = (text_of(root, "SPECTRAL_PROCESSING") or "").upper()
    return _Component(name=name, shown=shown, root=root, mode=mode)


def _described(package: FolderPackage, component: _Component) -> DescribedFile:
    root, shown = component.root, component.shown
    tiles, ids = _tiles(package, component)
    nodata = special_values(root).get("NODATA")
    return DescribedFile(
        source=mosaic(PurePosixPath(component.name).stem, tiles),
        bands=tuple(_band(root, name, shown) for name in ids),
        nodata=number(nodata, "the value of NODATA", shown) if nodata else 0.0,
        tags=tags_of(
            MISSION=_mission(root),
            PRODUCT_TYPE=text_of(root, "PROCESSING_LEVEL"),
            ACQUISITION_DATE=text_of(root, "IMAGING_DATE"),
            ACQUISITION_TIME=text_of(root, "IMAGING_TIME"),
            SUN_ELEVATION=text_of(root, "SUN_ELEVATION"),
            SUN_AZIMUTH=text_of(root, "SUN_AZIMUTH"),
            CLOUD_COVERAGE=text_of(root, "CLOUD_COVERAGE"),
        ),
    )


def _mission(root: Any) -> str | None:
    """PHR1A, SPOT6, ... as other files name the satellites."""
    mission, index = text_of(root, "MISSION"), text_of(root, "MISSION_INDEX")
    return f"{mission}{index or ''}".replace(" ", "") if mission else None


def _tiles(package: FolderPackage, component: _Component) -> tuple[list[Tile], list[str]]:
    """Tiles of all sets of files (Pleiades Neo has RGB and NIR in two), and the bands' names."""
    folder = PurePosixPath(component.name).parent
    tiles: list[Tile] = []
    ids: list[str] = []
    for group in component.root.iter("Data_Files"):
        own = _band_ids(group) or _band_ids(component.root)
        for file in group.iter("Data_File"):
            path = next(file.iter("DATA_FILE_PATH"), None)
            name = "" if path is None else path.get("href") or ""
            inner = str(folder / name)
            if not name or not is_plain(name):
                raise SceneError(
                    f"{component.shown} names {name!r} as a tile; expected a file in its own "
                    "folder: download the product again"
                )
            tile = Tile(source=package.source(inner), first_band=len(ids) + 1)
            row, column = (_index(file, key, component.shown) for key in ("tile_R", "tile_C"))
            tiles.append(replace(tile, row=row, column=column))
        ids += own
    if not tiles:
        raise SceneError(f"{component.shown} names no image; expected tiles: download it again")
    return tiles, ids


def _index(file: Any, key: str, shown: str) -> int:
    return int(number(file.get(key) or "1", key, shown))


def _band_ids(root: Any) -> list[str]:
    """In the order of the file's bands: as listed with their indices, else red, green, blue, NIR.

    (): nothing says it.
    """
    listed = [
        (text_of(element, "BAND_INDEX"), text_of(element, "BAND_ID"))
        for element in root.iter("Raster_Index")
    ]
    if listed:
        indices = [index for index, _ in listed]
        wanted = [str(number) for number in range(1, len(listed) + 1)]
        if sorted(str(index) for index in indices) == sorted(wanted):
            listed.sort(key=lambda pair: int(pair[0] or 0))
        return [name or "" for _, name in listed]
    order = next(root.iter("Band_Display_Order"), None)
    if order is None:
        return []
    channels = ("RED_CHANNEL", "GREEN_CHANNEL", "BLUE_CHANNEL", "ALPHA_CHANNEL")
    names = [text_of(order, channel) for channel in channels]
    return list(dict.fromkeys(name for name in names if name))


def _band(root: Any, name: str, shown: str) -> BandDescription:
    def of(tag: str) -> Any:
        found = (e for e in root.iter(tag) if text_of(e, "BAND_ID") == name)
        return next(found, None)

    colour = _COLOURS.get(name)
    band = BandDescription(name=name if colour in (None, name) else f"{name} {colour}")
    spectrum = of("Band_Spectral_Range")
    if spectrum is not None:
        low, high = (number(text_of(spectrum, end), f"{end} of {name}", shown) for end in _ENDS)
        nanometres = high > 100  # whatever the unit says
        low, high = (low / 1000, high / 1000) if nanometres else (low, high)
        band = replace(band, wavelength=(low + high) / 2, width=high - low)
    for tag, unit in (
        ("Band_Reflectance", "reflectance"),
        ("Band_Radiance", "W m-2 sr-1 um-1"),
    ):
        measure = of(tag)
        if measure is None:
            continue
        gain, bias = (number(text_of(measure, key), f"{key} of {name}", shown) for key in _GAINS)
        if gain <= 0:
            raise SceneError(f"{shown}: GAIN of {name} is {gain:g}; expected one over 0")
        return replace(band, scale=1 / gain, offset=bias, unit=unit)
    return band


_ENDS = ("MIN", "MAX")
_GAINS = ("GAIN", "BIAS")
