"""What files say beside their pixels: names, colours, tags, scales and units of bands."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rasterio.enums import ColorInterp

from fusiontrain.scenes.gdal_environment import name_of
from fusiontrain.scenes.raster import Raster

_ACQUISITION = re.compile(
    r"SAT|SENSOR|PLATFORM|SPACECRAFT|MISSION|INSTRUMENT|ACQ|SUN|CLOUD|NADIR|AZIMUTH|ELEVATION"
    r"|(?<!FILE_)DATE|CATALOG|SCENE_?ID",
    re.IGNORECASE,
)
_LONGEST = 200  # characters


@dataclass(frozen=True, kw_only=True, slots=True)
class RasterMetadata:
    """Metadata that a file made of these bands carries on; lists have one value a band."""

    tags: dict[str, str]
    band_tags: list[dict[str, str]]
    descriptions: tuple[str | None, ...]
    colors: list[ColorInterp]
    scales: list[float]
    offsets: list[float]
    units: list[str | None]


def read_metadata(raster: Raster) -> RasterMetadata:
    bands = raster.band_facts
    return RasterMetadata(
        tags=raster.facts[0].tags,
        band_tags=[facts.band_tags[band] for facts, band in bands],
        descriptions=band_names(raster),
        colors=_colors(raster),
        scales=[facts.scales[band] for facts, band in bands],
        offsets=[facts.offsets[band] for facts, band in bands],
        units=[facts.units[band] for facts, band in bands],
    )


def band_names(raster: Raster) -> tuple[str | None, ...]:
    """Each band's description; of several files a band without one has its file's name."""
    names = [facts.descriptions[band] for facts, band in raster.band_facts]
    if len(raster.files) == 1:
        return tuple(names)
    paths = [raster.paths[band - 1] for band in raster.bands]
    return tuple(name or Path(name_of(path)).stem for name, path in zip(names, paths, strict=True))


def all_tags(raster: Raster) -> dict[str, str]:
    """Tags of every domain of the first file: where products name their satellite."""
    return raster.facts[0].domains


def acquisition_tags(raster: Raster) -> dict[str, str]:
    """Tags of every domain that say when, how and by what the image was taken."""
    return {
        key: value
        for key, value in all_tags(raster).items()
        if _ACQUISITION.search(key) and len(value) <= _LONGEST
    }


def rpcs(raster: Raster) -> Any:
    """Rational polynomial coefficients, or None."""
    return raster.facts[0].rpcs


def _colors(raster: Raster) -> list[ColorInterp]:
    if len(raster.files) > 1:  # every single band is grey; together they are not
        return [ColorInterp.gray] + [ColorInterp.undefined] * (raster.count - 1)
    # Many writers flag the fourth of four bands as alpha; it is near infrared.
    colors = [facts.colors[band] for facts, band in raster.band_facts]
    return [ColorInterp.undefined if color is ColorInterp.alpha else color for color in colors]
