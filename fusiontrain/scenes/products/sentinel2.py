"""Sentinel-2 of level 1C and 2A, as SAFE folders: four bands at 10 m, the others at 20 and 60 m.

Source: Sentinel-2 Products Specification Document, S2-PDGS-TAS-DI-PSD, issue 14.9; the offsets are
those of processing baseline 04.00 (January 2022).
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fusiontrain.errors import SceneError
from fusiontrain.scenes.described_file import BandDescription, DescribedFile
from fusiontrain.scenes.products.package import Package
from fusiontrain.scenes.products.product import Product, tags_of
from fusiontrain.scenes.products.product_xml import (
    LARGEST,
    number,
    parse_xml,
    special_values,
    text_of,
    texts_of,
)
from fusiontrain.scenes.products.sentinel2_masks import Masks, read_masks

# In the order of the metadata's band_id.
BAND_IDS = (
    "B01",
    "B02",
    "B03",
    "B04",
    "B05",
    "B06",
    "B07",
    "B08",
    "B8A",
    "B09",
    "B10",
    "B11",
    "B12",
)
_NANOMETRES = (
    442.7,
    492.4,
    559.8,
    664.6,
    704.1,
    740.5,
    782.8,
    832.8,
    864.7,
    945.1,
    1373.5,
    1613.7,
    2202.4,
)
SHARP = ("B02", "B03", "B04", "B08")
COARSE = {"B01": 60, "B05": 20, "B06": 20, "B07": 20, "B8A": 20, "B09": 60, "B11": 20, "B12": 20}
FUSED = tuple(band for band in BAND_IDS if band in SHARP or band in COARSE)
NODATA, SATURATED = 0.0, 65535.0
METADATA = re.compile(r"MTD_MSIL(1C|2A)\.xml")
_OFFSETS_SINCE = 4.0  # processing baseline
_IMAGE = re.compile(r"GRANULE/[\w.-]+/IMG_DATA/(?:R(\d\d)m/)?[\w-]*_(B\d[\dA])(?:_(\d\d)m)?")
_B10_LEFT_OUT = (
    "B10 is left out: it sees cirrus and little of the ground, so no sharp band explains it"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Radiometry:
    """reflectance = (DN + offset) / quantification."""

    quantification: float
    offsets: dict[str, float]

    def describe(self, band: str, wavelength: float | None) -> BandDescription:
        return BandDescription(
            name=band,
            wavelength=wavelength,
            scale=1 / self.quantification,
            offset=self.offsets.get(band, 0.0) / self.quantification,
            unit="reflectance",
        )


def read_sentinel2(package: Package, metadata: str, place: Path) -> Product:
    """`metadata`: the name of MTD_MSIL1C.xml or MTD_MSIL2A.xml.

    Raises: SceneError if that is damaged, of no known baseline, or names images that are not there.
    """
    shown = f"{package.name}/{metadata}"
    root = parse_xml(package.read(metadata, LARGEST), shown)
    matched = METADATA.search(metadata)
    assert matched is not None
    level = matched[1]
    radiometry = _radiometry(root, shown, level)
    wavelengths = _wavelengths(root, shown)
    images = _images(root, package, shown)
    tags, special = _tags(root), special_values(root)
    nodata, saturated = (
        number(special.get(name, f"{usual:g}"), name, shown)
        for name, usual in (("NODATA", NODATA), ("SATURATED", SATURATED))
    )
    masks = read_masks(package, images)
    files = {
        band: DescribedFile(
            source=package.source(f"{images[band]}.jp2"),
            bands=(radiometry.describe(band, wavelengths.get(band)),),
            nodata=nodata,
            saturated=saturated,
            mask=masks.get(band),
            tags=tags,
        )
        for band in FUSED
    }
    return ordered(
        files,
        name=package.name,
        kind=f"Sentinel-2 L{level}",
        notes=_notes(root, level, f"DN {nodata:g} (no data), {saturated:g} (saturated)", masks),
        place=place,
    )


def ordered(
    files: dict[str, DescribedFile],
    *,
    name: str,
    kind: str,
    notes: tuple[str, ...],
    place: Path | None,
) -> Product:
    """The product of these bands, written in the satellite's own order."""
    sharp = [band for band in SHARP if band in files]
    coarse = [band for band in FUSED if band in files and band not in sharp]
    read = [*sharp, *coarse]
    return Product(
        name=name,
        kind=kind,
        sharp=tuple(files[band] for band in sharp),
        ms=tuple(files[band] for band in coarse),
        order=tuple(read.index(band) + 1 for band in FUSED if band in files),
        notes=notes,
        place=place,
    )


def offsets_expected(baseline: str | None, shown: str) -> bool:
    """Whether a product of that processing baseline has offsets. Raises: SceneError."""
    if not re.fullmatch(r"\d\d\.\d\d", baseline or ""):
        raise SceneError(
            f"{shown}: processing baseline {baseline!r} is unknown; expected one like 05.11, by "
            "which the offset of DN is known: download the product again"
        )
    return float(baseline or 0) >= _OFFSETS_SINCE


def _radiometry(root: Any, shown: str, level: str) -> Radiometry:
    value, tag = ("QUANTIFICATION_VALUE", "RADIO_ADD_OFFSET")
    if level == "2A":
        value, tag = ("BOA_QUANTIFICATION_VALUE", "BOA_ADD_OFFSET")
    quantification = number(text_of(root, value) or text_of(root, f"L2A_{value}"), value, shown)
    if quantification <= 0:
        raise SceneError(f"{shown}: {value} is {quantification:g}; expected one over 0, as 10000")
    offsets: dict[str, float] = {}
    for element in root.iter(tag):
        index = int(number(element.get("band_id"), f"band_id of {tag}", shown))
        if 0 <= index < len(BAND_IDS):
            offsets[BAND_IDS[index]] = number(element.text, tag, shown)
    baseline = text_of(root, "PROCESSING_BASELINE")
    missing = [band for band in FUSED if band not in offsets]
    if offsets_expected(baseline, shown) and missing:
        raise SceneError(
            f"{shown}: baseline {baseline} has a {tag} for each band; {missing[0]} has none: "
            "download the product again"
        )
    return Radiometry(quantification=quantification, offsets=offsets)


def _wavelengths(root: Any, shown: str) -> dict[str, float]:
    """Band -> micrometres; Sentinel-2A's where the metadata of 2017 have none."""
    found = {band: value / 1000 for band, value in zip(BAND_IDS, _NANOMETRES, strict=True)}
    for element in root.iter("Spectral_Information"):
        central = next(element.iter("CENTRAL"), None)
        band = re.fullmatch(r"B(\d{1,2}|8A)", element.get("physicalBand") or "")
        if band is not None and central is not None:
            name = "B8A" if band[1] == "8A" else f"B{int(band[1]):02d}"
            found[name] = number(central.text, f"wavelength of {name}", shown) / 1000
    return found


def _images(root: Any, package: Package, shown: str) -> dict[str, str]:
    """Band -> path of its image, without suffix: each band at its own resolution alone.

    L2A has copies of sharp bands at 20 and 60 m, and B01 at 20 m too, made of the 60 m one.
    """
    listed = list(texts_of(root, "IMAGE_FILE")) or list(texts_of(root, "IMAGE_FILE_2A"))
    if not listed:
        old = next(texts_of(root, "IMAGE_ID"), None) is not None
        why = " (the format before December 2016)" if old else ""
        raise SceneError(
            f"{shown} lists no IMAGE_FILE{why}: expected a product of one tile; download it again"
        )
    granules = {name.split("/")[1] for name in listed if name.startswith("GRANULE/")}
    if len(granules) > 1:
        raise SceneError(f"{shown} has {len(granules)} tiles; expected one: split the product")
    found: dict[str, str] = {}
    for name in listed:
        image = _IMAGE.fullmatch(name)
        if image is None:
            continue
        band, resolution = image[2], image[1] or image[3]
        own = 10 if band in SHARP else COARSE.get(band)
        if own is not None and (resolution is None or int(resolution) == own):
            found[band] = name
    missing = [band for band in FUSED if band not in found]
    if missing:
        raise SceneError(
            f"{shown} names no image of {', '.join(missing)}: expected all of {', '.join(FUSED)}; "
            "download the product again"
        )
    absent = [band for band in FUSED if f"{found[band]}.jp2" not in package.files]
    if absent:
        raise SceneError(
            f"{package.name} lacks the image of {', '.join(absent)}: expected "
            f"{found[absent[0]]}.jp2; download the product again"
        )
    return found


def _tags(root: Any) -> dict[str, str]:
    """Under the names that GDAL's reader of these products gives them."""
    return tags_of(
        SPACECRAFT_NAME=text_of(root, "SPACECRAFT_NAME"),
        PRODUCT_URI=text_of(root, "PRODUCT_URI") or text_of(root, "PRODUCT_URI_2A"),
        PROCESSING_LEVEL=text_of(root, "PROCESSING_LEVEL"),
        PROCESSING_BASELINE=text_of(root, "PROCESSING_BASELINE"),
        PRODUCT_START_TIME=text_of(root, "PRODUCT_START_TIME"),
        GENERATION_TIME=text_of(root, "GENERATION_TIME"),
        SENSING_ORBIT_NUMBER=text_of(root, "SENSING_ORBIT_NUMBER"),
        CLOUD_COVERAGE_ASSESSMENT=text_of(root, "Cloud_Coverage_Assessment"),
    )


def _notes(root: Any, level: str, marks: str, masks: Masks) -> tuple[str, ...]:
    clouds = text_of(root, "Cloud_Coverage_Assessment") or ""
    known = re.fullmatch(r"\d+(\.\d+)?", clouds) is not None
    share = f" ({float(clouds):.3g} % by the metadata)" if known else ""
    lost = " and what QI_DATA names lost or degraded" if masks else ""
    missing = (
        f"{marks}{lost} count as missing; clouds{share} are fused as they are"
        f"{'' if masks else '; QI_DATA has no mask of lost pixels'}"
    )
    return (missing, _B10_LEFT_OUT) if level == "1C" else (missing,)
