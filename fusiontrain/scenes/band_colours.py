"""Which band is red, green, blue or infrared: from names, colours, wavelengths or the sensor."""

import re
from collections.abc import Sequence
from pathlib import Path

import rasterio
from rasterio.enums import ColorInterp

from fusiontrain.scenes.gdal_environment import name_of
from fusiontrain.scenes.metadata import guess_sensor
from fusiontrain.scenes.raster import Raster
from shards.sensors import GENERIC, SENSORS, Sensor

Colours = tuple[str | None, ...]  # one a band, as sensors' rows name them; None: not known
_WORDS = {
    word: colour
    for colour, words in (
        ("coastal", "coastal"),
        ("blue", "blue blu"),
        ("green", "green grn"),
        ("yellow", "yellow"),
        ("red", "red"),
        ("rededge", "rededge"),
        ("nir", "nir infrared"),
        ("nir1", "nir1"),
        ("nir2", "nir2"),
        ("swir", "swir swir1 swir2"),
        ("pan", "pan panchromatic"),
    )
    for word in words.split()
}
# By the number in a file's name. Landsat 8 and 9: B1 is coastal; 4, 5 and 7: blue.
_OLI = ("coastal", "blue", "green", "red", "nir", "swir", "swir")
_TM = ("blue", "green", "red", "nir", "swir", "tir", "swir")
_LANDSAT_TM = re.compile(r"L[ET]0?[457]|LANDSAT.?[457]|L[57]_", re.IGNORECASE)
_NUMBER = re.compile(r"(?:^|[\W_])B(?:and)?[ _]?(\d{1,2})$", re.IGNORECASE)
_MICROMETRES = (  # upper ends, which part the centres of the sensors' bands
    (0.40, None),
    (0.45, "coastal"),
    (0.52, "blue"),
    (0.585, "green"),
    (0.625, "yellow"),
    (0.69, "red"),
    (0.76, "rededge"),
    (1.05, "nir"),
    (2.6, "swir"),
)
_WAVELENGTH = ("central_wavelength_um", "wavelength", "center_wavelength")
_FIRST = ("red", "green", "blue")


def band_colours(raster: Raster, sensor: Sensor = GENERIC) -> Colours:
    """The colour of each band.

    By words in names of bands and files, wavelengths, numbers in names, the file's own colour
    interpretation, or the row of `sensor`; the first that names red, green or blue counts.
    """
    own_row = SENSORS.get(sensor.name, sensor)
    for colours in (
        _by_words(raster),
        _by_wavelengths(raster),
        _by_numbers(raster, own_row),
        _by_flags(raster),
        _by_sensor(raster, own_row),
    ):
        if _usable(colours):
            return colours
    return (None,) * raster.count


def rgb_bands(colours: Colours) -> tuple[tuple[int, ...], bool]:
    """Bands from 1 for red, green and blue, or the one there is; and whether that is a guess.

    A guess goes by the number of bands, in the order of sensors' rows.
    """
    if all(colour in colours for colour in _FIRST):
        return tuple(colours.index(colour) + 1 for colour in _FIRST), False
    count = len(colours)
    if count < 3:
        return (1,), False
    for row in SENSORS.values():
        if len(row.bands) == count and not row.ratios:
            return tuple(row.bands.index(colour) + 1 for colour in _FIRST), True
    return ((4, 3, 2) if count == 7 else (3, 2, 1)), True


def color_interpretation(colours: Colours, own: Sequence[ColorInterp]) -> list[ColorInterp]:
    """What the output says of each band: `own`, the MS's, where colours are not known."""
    if not _usable(colours):
        return list(own)
    infrared = _modern("nir")
    words = {colour: ColorInterp[colour] for colour in _FIRST}
    words |= {"nir": infrared, "nir1": infrared, "nir2": infrared}
    words |= {name: _modern(name) for name in ("coastal", "rededge", "swir", "pan")}
    words["yellow"] = ColorInterp.yellow
    return [words.get(colour or "", ColorInterp.undefined) for colour in colours]


def photometric(colors: Sequence[ColorInterp]) -> str:
    """What a TIFF of these bands is created as.

    GDAL's own choice as colours are set leaves a count of extra samples that does not fit.
    """
    first = [ColorInterp[colour] for colour in _FIRST]
    return "RGB" if list(colors[:3]) == first else "MINISBLACK"


def _modern(name: str) -> ColorInterp:
    """GDAL has words for infrared since 3.10."""
    version = tuple(int(part) for part in rasterio.__gdal_version__.split(".")[:2])
    found: ColorInterp = getattr(ColorInterp, name, ColorInterp.undefined)
    return found if version >= (3, 10) else ColorInterp.undefined


def _usable(colours: Colours) -> bool:
    """Red, green or blue is among them, and none twice."""
    named = [colour for colour in colours if colour in _FIRST]
    return bool(named) and len(named) == len(set(named))


def _names(raster: Raster) -> list[list[str]]:
    """Of each band: its description; of several files their names too."""
    names = [[facts.descriptions[band] or ""] for facts, band in raster.band_facts]
    if len(raster.files) > 1:
        for texts, band in zip(names, raster.bands, strict=True):
            texts.append(Path(name_of(raster.paths[band - 1])).stem)
    return names


def _by_words(raster: Raster) -> Colours:
    return tuple(next(filter(None, map(_colour_word, texts)), None) for texts in _names(raster))


def _colour_word(text: str) -> str | None:
    """The last word of a name that is a colour's; "red edge" is one word, po_1_blu_0 has one."""
    joined = re.sub(r"red[\W_]?edge\d*", "rededge", text.casefold())
    words = re.findall(r"[^\W_]+", joined)
    if "coastal" in words:  # "coastal blue"
        return "coastal"
    return next((_WORDS[word] for word in reversed(words) if word in _WORDS), None)


def _by_numbers(raster: Raster, sensor: Sensor) -> Colours:
    names = _names(raster)
    texts = [text for group in names for text in group]
    stem = Path(name_of(raster.paths[0])).stem
    table: Sequence[str] = sensor.bands if sensor is not GENERIC else ()
    named = sensor if sensor is not GENERIC else guess_sensor(stem)
    if named is not None and named.name.startswith("Landsat"):
        table = _OLI
    elif any(_LANDSAT_TM.match(text) for text in (stem, *texts)):
        table = _TM
    colours: list[str | None] = []
    for group in names:
        found = next(filter(None, map(_NUMBER.search, group)), None)
        number = int(found[1]) if found else 0
        colours.append(table[number - 1] if 1 <= number <= len(table) else None)
    return tuple(colours)


def _by_flags(raster: Raster) -> Colours:
    """The colour interpretation that the file has. Many writers flag infrared as alpha."""
    if len(raster.files) > 1:
        return (None,) * raster.count
    flags = [facts.colors[band].name for facts, band in raster.band_facts]
    known = (*_FIRST, "nir", "rededge", "coastal", "swir")
    colours = [flag if flag in known else None for flag in flags]
    if flags[-1] == "alpha" and set(flags[:-1]) == set(_FIRST):
        colours[-1] = "nir"
    return tuple(colours)


def _by_wavelengths(raster: Raster) -> Colours:
    return tuple(_colour_at(facts.band_tags[band]) for facts, band in raster.band_facts)


def _colour_at(tags: dict[str, str]) -> str | None:
    """By ENVI's wavelength or GDAL's CENTRAL_WAVELENGTH_UM; over 100 it is in nanometres."""
    lower = {key.casefold(): value for key, value in tags.items()}
    text = next((lower[key] for key in _WAVELENGTH if key in lower), "")
    try:
        micrometres = float(text)
    except ValueError:
        return None
    micrometres = micrometres / 1000 if micrometres > 100 else micrometres
    return next((colour for end, colour in _MICROMETRES if micrometres < end), None)


def _by_sensor(raster: Raster, sensor: Sensor) -> Colours:
    """The sensor's row, for a file, or files one a band, of as many bands as it has."""
    files = raster.facts[0].count if len(raster.files) == 1 else len(raster.files)
    files -= raster.alpha is not None
    if sensor is GENERIC:
        return (None,) * raster.count
    row = _OLI if sensor.name.startswith("Landsat") and files == len(_OLI) else sensor.bands
    if files == len(row):
        return tuple(row[band - 1] for band in raster.bands)
    return tuple(row) if raster.count == len(row) else (None,) * raster.count
