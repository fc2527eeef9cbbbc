"""A STAC item whose assets are images: Sentinel-2's bands, or a PAN and bands beside it.

Source: STAC 1.0 and 1.1 with the extensions eo and raster. The images may lie on other machines:
an item is given to be read so, and a line says which hosts are asked.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urljoin, urlsplit

from fusiontrain.errors import SceneError
from fusiontrain.scenes.described_file import BandDescription, DescribedFile
from fusiontrain.scenes.gdal_environment import Source
from fusiontrain.scenes.products.package import is_plain
from fusiontrain.scenes.products.product import Product, tags_of
from fusiontrain.scenes.products.sentinel2 import (
    COARSE,
    FUSED,
    NODATA,
    SATURATED,
    SHARP,
    offsets_expected,
    ordered,
)
from shards.bounded_reading import parse_json, read_bounded
from shards.stores import read_url

_LARGEST = 2**24  # bytes
_IMAGES = (".tif", ".tiff", ".jp2")
_NAME = re.compile(r"(B\d[\dA])(?:_(\d\d)m)?(?:-jp2)?", re.IGNORECASE)
_KEYS = {  # assets and common names of Earth Search
    "coastal": "B01",
    "blue": "B02",
    "green": "B03",
    "red": "B04",
    "rededge1": "B05",
    "rededge2": "B06",
    "rededge3": "B07",
    "nir": "B08",
    "nir08": "B8A",
    "nir09": "B09",
    "swir16": "B11",
    "swir22": "B12",
}
_COMMON = (
    *("coastal", "blue", "green", "yellow", "red", "rededge", "nir", "nir08"),
    "swir16",
    "swir22",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Asset:
    """An image of one band."""

    key: str
    href: str
    band: Mapping[str, Any]  # of eo:bands, or bands
    raster: Mapping[str, Any]  # of raster:bands, or bands
    resolution: float | None  # metres

    def value(self, *keys: str) -> Any:
        return next((self.band[key] for key in keys if self.band.get(key) is not None), None)

    @property
    def common(self) -> str:
        return str(self.value("common_name", "eo:common_name") or "")


def is_item(data: Any) -> bool:
    return (
        isinstance(data, dict)
        and data.get("type") == "Feature"
        and isinstance(data.get("assets"), dict)
    )


def read_item(location: str | Path) -> Any:
    """The JSON of a file or an http(s) URL. Raises: SceneError, SharingError."""
    try:
        data = (
            read_bounded(location, _LARGEST)
            if isinstance(location, Path)
            else read_url(location, _LARGEST)
        )
        item = parse_json(data)
    except (OSError, ValueError) as error:
        raise SceneError(f"cannot read {location}: {error}") from error
    if not is_item(item):
        raise SceneError(
            f"{location} is no STAC item; expected JSON with type Feature and assets: give the "
            "item's own URL"
        )
    return item


def read_stac(item: Mapping[str, Any], location: str | Path) -> Product:
    """Raises: SceneError if bands are missing, or an asset may not be read from there."""
    name, properties = str(item.get("id", "item")), item.get("properties") or {}
    if not isinstance(properties, dict):
        raise SceneError(f"{location}: properties must be an object; download the item again")
    assets = list(_assets(item["assets"]))
    pan = [asset for asset in assets if asset.common == "pan"]
    reader = _Reader(location=location, properties=properties)
    if pan:
        bands = [a for a in assets if a.common in _COMMON and a.resolution == assets[0].resolution]
        bands = bands or [a for a in assets if a.common in _COMMON]
        if not bands:
            raise SceneError(f"{name} has a PAN and no band beside it; expected eo:bands of each")
        sharp, ms = (tuple(map(reader.described, group)) for group in (pan[:1], bands))
        return Product(
            name=name,
            kind=f"STAC item, {properties.get('platform', 'PAN and bands')}",
            sharp=sharp,
            ms=ms,
            notes=reader.notes(),
            place=location if isinstance(location, Path) else None,
        )
    found = _sentinel2_bands(assets)
    missing = [band for band in FUSED if band not in found]
    if missing:
        raise SceneError(
            f"{name} has no asset of {', '.join(missing)}; expected one image a band of "
            f"Sentinel-2, {', '.join(FUSED)}, or one of common name pan and others"
        )
    files = {band: reader.described(found[band], band) for band in FUSED}
    return ordered(
        files,
        name=name,
        kind="STAC item of Sentinel-2",
        notes=reader.notes(),
        place=location if isinstance(location, Path) else None,
    )


def _assets(assets: Mapping[str, Any]) -> Iterator[_Asset]:
    """Images of one band each; pictures and masks are passed over."""
    for key, asset in assets.items():
        if not isinstance(asset, dict) or not isinstance(asset.get("href"), str):
            continue
        bands = asset.get("eo:bands") or asset.get("bands") or [{}]
        rasters = asset.get("raster:bands") or asset.get("bands") or [{}]
        image = PurePosixPath(urlsplit(asset["href"]).path).suffix.lower() in _IMAGES
        if not (image and _is_one(bands) and _is_one(rasters)):
            continue
        roles = asset.get("roles") or []
        if {"visual", "overview", "thumbnail"} & set(map(str, roles)):
            continue
        resolution = asset.get("gsd", rasters[0].get("spatial_resolution"))
        yield _Asset(
            key=str(key),
            href=asset["href"],
            band=bands[0],
            raster=rasters[0] | {k: v for k, v in asset.items() if k.startswith("raster:s")},
            resolution=float(resolution) if isinstance(resolution, (int, float)) else None,
        )


def _is_one(bands: Any) -> bool:
    return isinstance(bands, list) and len(bands) == 1 and isinstance(bands[0], dict)


def _sentinel2_bands(assets: list[_Asset]) -> dict[str, _Asset]:
    """Band -> its image at its own resolution; a GeoTIFF before a JP2 of the same."""
    found: dict[str, _Asset] = {}
    for asset in sorted(assets, key=lambda a: urlsplit(a.href).path.lower().endswith(".jp2")):
        for text in (asset.key, str(asset.value("name") or ""), asset.common):
            match = _NAME.fullmatch(text)
            band = match[1].upper() if match else _KEYS.get(text.lower().removesuffix("-jp2"))
            if band in FUSED:
                own = 10 if band in SHARP else COARSE[band]
                size = float(match[2]) if match and match[2] else asset.resolution
                if size is None or size == own:
                    found.setdefault(band, asset)
                break
    return found


@dataclass(frozen=True, kw_only=True)
class _Reader:
    """Assets of one item as files, with what the item says of them."""

    location: str | Path
    properties: Mapping[str, Any]

    def __post_init__(self) -> None:
        self.hosts: set[str]
        object.__setattr__(self, "hosts", set())

    def described(self, asset: _Asset, band: str = "") -> DescribedFile:
        scale, offset = self._rescaling(asset, band)
        name = band or str(asset.value("name") or asset.key)
        wavelength, width = (
            self._number(asset, asset.value(key, f"eo:{key}"), key)
            for key in ("center_wavelength", "full_width_half_max")
        )
        colour = "" if band else f" {asset.common}"
        nodata = self._number(asset, asset.raster.get("nodata"), "nodata", words=True)
        return DescribedFile(
            source=self._source(asset),
            bands=(
                BandDescription(
                    name=name if asset.common.lower() in name.lower() else f"{name}{colour}",
                    wavelength=wavelength,
                    width=width,
                    scale=scale,
                    offset=offset,
                    unit=str(asset.raster.get("unit") or ("reflectance" if scale != 1 else "")),
                ),
            ),
            nodata=NODATA if nodata is None else nodata,
            saturated=SATURATED if band else None,
            tags=self._tags(),
        )

    def _rescaling(self, asset: _Asset, band: str) -> tuple[float, float]:
        """As the item says; of Sentinel-2 without it, by the processing baseline."""
        raster, applied = asset.raster, self.properties.get("earthsearch:boa_offset_applied")
        scale = raster.get("scale", raster.get("raster:scale"))
        offset = raster.get("offset", raster.get("raster:offset"))
        if scale is not None:
            jp2 = urlsplit(asset.href).path.lower().endswith(".jp2")
            numbers = [self._number(asset, v, "scale or offset") for v in (scale, offset or 0)]
            return numbers[0] or 1.0, 0.0 if applied is True and not jp2 else numbers[1] or 0.0
        baseline = self.properties.get("s2:processing_baseline")
        if not band or baseline is None:
            return 1.0, 0.0
        return 1e-4, -0.1 if offsets_expected(str(baseline), str(self.location)) else 0.0

    def _number(self, asset: _Asset, value: Any, what: str, *, words: bool = False) -> float | None:
        """`words`: whether it may be one, as "nan", which is then None."""
        if value is None or (words and isinstance(value, str)):
            return None
        if type(value) in (int, float) and abs(value) < float("inf"):
            return float(value)
        raise SceneError(
            f"{self.location}: {what} of asset {asset.key} is {value!r}; expected a number"
        )

    def _source(self, asset: _Asset) -> Source:
        """A local item's own files, or a place of http(s) or S3; an item elsewhere has no files."""
        href = asset.href
        if not isinstance(self.location, Path):
            href = urljoin(self.location, href)
        parts = urlsplit(href)
        own = urlsplit(str(self.location)) if not isinstance(self.location, Path) else None
        plain_http = own is not None and parts.scheme == "http" and parts.netloc == own.netloc
        if (
            href.isprintable()
            and (parts.scheme in ("https", "s3") or plain_http)
            and parts.hostname
        ):
            self.hosts.add(parts.hostname)
            return href
        if isinstance(self.location, Path) and not parts.scheme:
            folder = self.location.absolute().parent
            path = folder / href
            inside = is_plain(href.removeprefix("./")) and path.resolve().is_relative_to(
                folder.resolve()
            )
            if inside and path.is_file():
                return path
        raise SceneError(
            f"{self.location}: asset {asset.key} is {href[:200]!r}; expected https://, s3:// or a "
            "file in the item's own folder: download it there"
        )

    def _tags(self) -> dict[str, str]:
        keys = {
            "PLATFORM": "platform",
            "ACQUISITION_DATETIME": "datetime",
            "CLOUD_COVER": "eo:cloud_cover",
            "PROCESSING_BASELINE": "s2:processing_baseline",
        }
        values = {key: self.properties.get(name) for key, name in keys.items()}
        return tags_of(**{k: None if v is None else str(v)[:200] for k, v in values.items()})

    def notes(self) -> tuple[str, ...]:
        asked: tuple[str, ...] = ()
        if self.hosts:
            asked = (f"images are read from {', '.join(sorted(self.hosts))}",)
        if self.properties.get("earthsearch:boa_offset_applied") is True:
            asked += ("the offset of baseline 04.00 is in the DN already, as the item says",)
        return asked
