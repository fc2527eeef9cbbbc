"""Landsat 7, 8 and 9, Collection 2 of level 1, by their MTL file: PAN at 15 m, MS at 30 m.

Source: USGS LSDS-1822, Landsat 8-9 OLI/TIRS Collection 2 Level 1 Data Format Control Book, and
LSDS-1414, the same of Landsat 7; wavelengths: the centres that USGS states for the bands.
"""

import re
from pathlib import Path
from typing import Any

from fusiontrain.errors import SceneError
from fusiontrain.scenes.described_file import BandDescription, DescribedFile
from fusiontrain.scenes.products.package import FolderPackage
from fusiontrain.scenes.products.product import Product, tags_of
from fusiontrain.scenes.products.product_xml import leaves, number, parse_xml
from shards.bounded_reading import parse_json

METADATA = re.compile(r".*_MTL\.(txt|json|xml)", re.IGNORECASE)
_LARGEST = 2**22  # bytes; an MTL has some 15 kB
_PAN = 8
# Band -> (name beside the number, micrometres).
_OLI = {
    1: ("coastal", 0.443),
    2: ("blue", 0.482),
    3: ("green", 0.561),
    4: ("red", 0.655),
    5: ("nir", 0.865),
    6: ("swir1", 1.609),
    7: ("swir2", 2.201),
    8: ("pan", 0.590),
}
_ETM = {
    1: ("blue", 0.485),
    2: ("green", 0.560),
    3: ("red", 0.660),
    4: ("nir", 0.835),
    5: ("swir1", 1.650),
    7: ("swir2", 2.220),
    8: ("pan", 0.710),
}
_SATELLITES = {
    "LANDSAT_7": ("Landsat-7", _ETM, "B6 is left out: it sees heat, at 60 m"),
    "LANDSAT_8": ("Landsat-8", _OLI, ""),
    "LANDSAT_9": ("Landsat-9", _OLI, ""),
}
_NOT_BY_THE_SUN = (
    "scale and offset give reflectance at the top of the atmosphere, not yet divided by the sine "
    "of SUN_ELEVATION"
)
_OLI_LEFT_OUT = "B9 is left out: it sees cirrus; B10 and B11 too: they see heat, at 100 m"


def read_landsat(package: FolderPackage, metadata: str, place: Path) -> Product:
    """`metadata`: the name of the MTL file in the folder.

    Raises: SceneError if it is damaged, of another satellite or level, or files are missing.
    """
    shown = f"{package.name}/{metadata}"
    facts = _facts(package.read(metadata, _LARGEST), shown)
    satellite = facts.get("SPACECRAFT_ID", "")
    if satellite not in _SATELLITES:
        known = ", ".join(_SATELLITES)
        raise SceneError(f"{shown}: SPACECRAFT_ID is {satellite!r}; expected one of {known}")
    name, bands, left_out = _SATELLITES[satellite]
    level = facts.get("PROCESSING_LEVEL", facts.get("DATA_TYPE", ""))
    if level.startswith("L2"):
        raise SceneError(
            f"{shown} is of level 2, {level}, which has no PAN; give the product of level 1"
        )
    tags = _tags(facts)
    missing = [b for b in bands if b != _PAN and _file_of(facts, b, shown) not in package.files]
    there = [b for b in bands if b != _PAN and b not in missing]
    if not there:
        raise SceneError(f"{package.name} has no MS band; expected B8 and at least one MS band")

    def described(band: int) -> DescribedFile:
        colour, wavelength = bands[band]
        return DescribedFile(
            source=package.source(_file_of(facts, band, shown)),
            bands=(
                BandDescription(
                    name=f"B{band} {colour}",
                    wavelength=wavelength,
                    scale=_rescaling(facts, "MULT", band, shown),
                    offset=_rescaling(facts, "ADD", band, shown),
                    unit="reflectance",
                ),
            ),
            nodata=0.0,
            tags=tags,
        )

    return Product(
        name=facts.get("LANDSAT_PRODUCT_ID", metadata.rpartition("_")[0]),
        kind=f"{name} level 1",
        sharp=(described(_PAN),),
        ms=tuple(described(band) for band in there),
        notes=(
            left_out or _OLI_LEFT_OUT,
            _NOT_BY_THE_SUN,
            *([f"not there, so left out: B{', B'.join(map(str, missing))}"] if missing else []),
        ),
        place=place,
    )


def _facts(data: bytes, shown: str) -> dict[str, str]:
    """Key -> value; keys that stand in several groups have the first one's."""
    if shown.lower().endswith(".xml"):
        return leaves(parse_xml(data, shown))
    if shown.lower().endswith(".json"):
        try:
            return _flat(parse_json(data))
        except ValueError as error:
            raise SceneError(f"cannot read {shown}: {error}: download the product again") from error
    found: dict[str, str] = {}
    for line in data.decode("ascii", "replace").splitlines():
        key, equals, value = line.partition("=")
        if equals and key.strip() not in ("GROUP", "END_GROUP"):
            found.setdefault(key.strip(), value.strip().strip('"'))
    if not found:
        raise SceneError(f"{shown} has no line KEY = VALUE; expected an MTL file of Landsat's")
    return found


def _flat(value: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    groups = [value]
    for group in groups:
        for key, inner in group.items() if isinstance(group, dict) else ():
            if isinstance(inner, dict):
                groups.append(inner)
            else:
                found.setdefault(str(key), str(inner))
    return found


def _file_of(facts: dict[str, str], band: int, shown: str) -> str:
    name = facts.get(f"FILE_NAME_BAND_{band}", "")
    if not name or Path(name).name != name:
        raise SceneError(
            f"{shown} names {name!r} as the file of B{band}; expected one in its own folder: "
            "download the product again"
        )
    return name


def _rescaling(facts: dict[str, str], kind: str, band: int, shown: str) -> float:
    key = f"REFLECTANCE_{kind}_BAND_{band}"
    return number(facts.get(key), key, shown)


def _tags(facts: dict[str, str]) -> dict[str, str]:
    keys = (
        *("SPACECRAFT_ID", "SENSOR_ID", "LANDSAT_PRODUCT_ID", "PROCESSING_LEVEL"),
        *("DATE_ACQUIRED", "SCENE_CENTER_TIME", "SUN_AZIMUTH", "SUN_ELEVATION", "CLOUD_COVER"),
        *("WRS_PATH", "WRS_ROW", "EARTH_SUN_DISTANCE"),
    )
    return tags_of(**{key: facts.get(key) for key in keys})
