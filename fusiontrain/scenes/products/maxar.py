"""Maxar's bundles: folders X_PAN and X_MUL of tiles R1C1, each with .TIL, .IMD, .XML and .RPB.

Source: Maxar (DigitalGlobe), Imagery Support Data documentation; the wavelengths are the middles of
the bands as its data sheets state them.
"""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from fusiontrain.errors import SceneError
from fusiontrain.scenes.described_file import BandDescription, DescribedFile
from fusiontrain.scenes.products.mosaic import Tile, mosaic
from fusiontrain.scenes.products.package import FolderPackage
from fusiontrain.scenes.products.product import Product, tags_of
from fusiontrain.scenes.products.product_xml import LARGEST, leaves, number, parse_xml

# 14JUN11..._R1C1-M2AS-014670314010_01_P001.TIF; the tile's number is left out of whole images.
_IMAGE = re.compile(
    r"(?P<head>.+?)(?:_R(?P<row>\d+)C(?P<column>\d+))?-(?P<kind>[PM])(?P<level>\d[A-Z]{1,3})-"
    r"(?P<tail>.+)\.TIFF?",
    re.IGNORECASE,
)
_COLOURS = {
    "P": "pan",
    "C": "coastal",
    "B": "blue",
    "G": "green",
    "Y": "yellow",
    "R": "red",
    "RE": "rededge",
    "N": "nir1",
    "N2": "nir2",
}
_EIGHT = {"C": 0.425, "B": 0.480, "G": 0.545, "Y": 0.605, "R": 0.660, "RE": 0.725, "N": 0.8325}
_EIGHT |= {"N2": 0.950, "P": 0.625}
_FOUR = {"B": 0.480, "G": 0.545, "R": 0.6725, "N": 0.850, "P": 0.625}
_MICROMETRES = {
    "WV02": _EIGHT,
    "WV03": _EIGHT,
    "WV04": _FOUR,
    "GE01": _FOUR,
    "QB02": {"B": 0.485, "G": 0.560, "R": 0.660, "N": 0.830, "P": 0.675},
}
_UNIT = "W m-2 sr-1 um-1"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Image:
    """The tiles of one image of a part: its PAN or its MS."""

    folder: str
    head: str
    kind: str
    level: str
    tail: str


def holds_maxar(package: FolderPackage) -> bool:
    kinds = {image.kind for image in _images(package)}
    return kinds == {"P", "M"}


def read_maxar(package: FolderPackage, place: Path) -> Product:
    """Raises: SceneError if there are several parts, a tile is missing, or metadata are damaged."""
    images = _images(package)
    parts = sorted({image.tail for image in images})
    if len(parts) > 1:
        raise SceneError(
            f"{package.name} has {len(parts)} parts, {', '.join(parts[:4])}; expected one: give "
            "PAN MS OUT for each, with the .TIL files as PAN and MS"
        )
    by_kind: dict[str, list[_Image]] = {"P": [], "M": []}
    for image in images:
        by_kind[image.kind].append(image)
    for kind, what in (("P", "PAN"), ("M", "MS")):
        if len(by_kind[kind]) != 1:
            raise SceneError(
                f"{package.name} has {len(by_kind[kind])} images of {what}; expected one: give PAN "
                "MS OUT"
            )
    pan, ms = (
        _described(package, images[image], image) for image in (by_kind["P"][0], by_kind["M"][0])
    )
    satellite = ms.tags.get("SATID", "Maxar")
    return Product(
        name=parts[0], kind=f"Maxar bundle, {satellite}", sharp=(pan,), ms=(ms,), place=place
    )


def _images(package: FolderPackage) -> dict[_Image, list[Tile]]:
    found: dict[_Image, list[Tile]] = {}
    for name in package.files:
        path = PurePosixPath(name)
        match = _IMAGE.fullmatch(path.name)
        if match is None:
            continue
        image = _Image(
            folder=str(path.parent),
            head=match["head"],
            kind=match["kind"].upper(),
            level=match["level"],
            tail=match["tail"],
        )
        tile = Tile(
            source=package.source(name),
            row=int(match["row"] or 1),
            column=int(match["column"] or 1),
        )
        found.setdefault(image, []).append(tile)
    return found


def _described(package: FolderPackage, tiles: list[Tile], image: _Image) -> DescribedFile:
    stem = f"{image.head}-{image.kind}{image.level}-{image.tail}"
    bands, facts, shown = _metadata(package, image.folder, stem)
    satellite = facts.get("SATID", "")
    wavelengths = _MICROMETRES.get(satellite, {})
    names = dict(_COLOURS)
    if "N2" not in bands:
        names["N"] = "nir"
    unknown = [band for band in bands if band not in names]
    if unknown:
        raise SceneError(
            f"{shown} names a band {unknown[0]!r}; expected one of {', '.join(names)}: give PAN MS "
            "OUT"
        )
    described = tuple(
        BandDescription(
            name=names[band],
            wavelength=wavelengths.get(band),
            scale=number(values.get("ABSCALFACTOR"), f"absCalFactor of {band}", shown)
            / number(values.get("EFFECTIVEBANDWIDTH"), f"effectiveBandwidth of {band}", shown),
            unit=_UNIT,
        )
        for band, values in bands.items()
    )
    what = "PAN" if image.kind == "P" else "MUL"
    return DescribedFile(
        source=mosaic(f"{image.tail}_{what}", tiles),
        bands=described,
        nodata=0.0,
        tags=tags_of(
            SATID=satellite,
            CATID=facts.get("CATID"),
            FIRSTLINETIME=facts.get("FIRSTLINETIME"),
            MEANSUNEL=facts.get("MEANSUNEL"),
            MEANSUNAZ=facts.get("MEANSUNAZ"),
            MEANOFFNADIRVIEWANGLE=facts.get("MEANOFFNADIRVIEWANGLE"),
            CLOUDCOVER=facts.get("CLOUDCOVER"),
        ),
    )


def _metadata(
    package: FolderPackage, folder: str, stem: str
) -> tuple[dict[str, dict[str, str]], dict[str, str], str]:
    """Band -> its values, in the file's order; the image's values; and the file they are of."""
    beside = {
        PurePosixPath(name).name.casefold(): name
        for name in package.files
        if str(PurePosixPath(name).parent) == folder
    }
    for suffix, read in ((".imd", _of_imd), (".xml", _of_xml)):
        name = beside.get(f"{stem}{suffix}".casefold())
        if name is not None:
            shown = f"{package.name}/{name}"
            bands, facts = read(package.read(name, LARGEST), shown)
            if bands:
                return bands, facts, shown
    raise SceneError(
        f"{package.name}/{folder} has no {stem}.IMD or .XML that names its bands: download the "
        "product again, or give PAN MS OUT"
    )


def _of_imd(data: bytes, _: str) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    bands: dict[str, dict[str, str]] = {}
    facts: dict[str, str] = {}
    group = ""
    for line in data.decode("ascii", "replace").splitlines():
        key, equals, value = (part.strip() for part in line.partition("="))
        text = value.strip(';" ')
        if not equals:
            continue
        if key == "BEGIN_GROUP":
            group = text
            if group.startswith("BAND_"):
                bands[group.removeprefix("BAND_")] = {}
        elif key == "END_GROUP":
            group = ""
        elif group.startswith("BAND_"):
            bands[group.removeprefix("BAND_")][key.upper()] = text
        else:
            facts.setdefault(key.upper(), text)
    return bands, facts


def _of_xml(data: bytes, shown: str) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    root = parse_xml(data, shown)
    imd = next(root.iter("IMD"), root)
    bands = {
        element.tag.removeprefix("BAND_"): leaves(element)
        for element in imd
        if element.tag.startswith("BAND_")
    }
    image = next(imd.iter("IMAGE"), imd)
    return bands, leaves(image)
