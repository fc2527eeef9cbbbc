"""A raster whose names, wavelengths and scales stand elsewhere: in its product's metadata."""

from dataclasses import dataclass, field, replace

from fusiontrain.errors import SceneError
from fusiontrain.scenes.file_facts import FileFacts
from fusiontrain.scenes.gdal_environment import Source, name_of

Ring = tuple[tuple[float, float], ...]  # x, y; the last point is the first
SPECTRAL = ("CENTRAL_WAVELENGTH_UM", "FWHM_UM")  # tags of bands, as GDAL names them


@dataclass(frozen=True, kw_only=True, slots=True)
class BandDescription:
    """What a product's metadata say of a band: physical = DN * scale + offset."""

    name: str
    wavelength: float | None = None  # centre, micrometres
    width: float | None = None  # at half of the maximum, micrometres
    scale: float = 1.0
    offset: float = 0.0
    unit: str = ""

    @property
    def tags(self) -> dict[str, str]:
        values = zip(SPECTRAL, (self.wavelength, self.width), strict=True)
        return {key: f"{value:.6g}" for key, value in values if value is not None}


@dataclass(frozen=True, kw_only=True, slots=True)
class Mosaic:
    """Tiles in memory: the text of a VRT that names them by absolute paths, all of them checked."""

    name: str
    vrt: str = field(repr=False)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, kw_only=True, slots=True)
class MaskImage:
    """An image of the same size, whose layers are 0 where pixels may be used."""

    source: Source
    layers: tuple[int, ...]  # from 1

    def __str__(self) -> str:
        return name_of(self.source)


@dataclass(frozen=True, kw_only=True, slots=True)
class MaskPolygons:
    """Places in the image's CRS whose pixels may not be used."""

    polygons: tuple[tuple[Ring, ...], ...] = field(repr=False)  # each: its outer ring, its holes


@dataclass(frozen=True, kw_only=True, slots=True)
class DescribedFile:
    """A raster file or a mosaic, and what its product's metadata say of it."""

    source: Source  # or a Mosaic
    bands: tuple[BandDescription, ...] = ()  # of all bands of the file; (): as the file says
    nodata: float | None = None  # where the file names none
    saturated: float | None = None  # counts as missing
    mask: MaskImage | MaskPolygons | None = None  # of a file of one band
    tags: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return name_of(self.source)

    def described(self, facts: FileFacts) -> FileFacts:
        """Raises: SceneError if the file has another number of bands."""
        bands = self.bands
        if bands and len(bands) != facts.count:
            names = ", ".join(band.name for band in bands)
            raise SceneError(
                f"{self} has {facts.count} bands; its product's metadata name {len(bands)}, "
                f"{names}: download the product again"
            )
        facts = replace(
            facts,
            nodata=self.nodata if facts.nodata is None else facts.nodata,
            saturated=self.saturated,
            tags=facts.tags | self.tags,
            # Of other domains all is said by `tags`: GDAL's readers copy whole MTL and IMD files.
            domains=facts.tags | self.tags if self.tags else facts.domains,
        )
        if not bands:
            return facts
        both = zip(facts.band_tags, bands, strict=True)
        return replace(
            facts,
            descriptions=tuple(band.name for band in bands),
            scales=tuple(band.scale for band in bands),
            offsets=tuple(band.offset for band in bands),
            units=tuple(band.unit or None for band in bands),
            band_tags=tuple(tags | band.tags for tags, band in both),
        )
