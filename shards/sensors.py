"""Sensors, one sourced row each.

Gains are MTF at Nyquist: of the MS at the MS's, of the PAN at the PAN's.
Source of the gains unless said: genMTF.m and MTF_PAN.m of the toolbox of Vivone et al.
2015, TGRS 53(5):2565-2586. Where the toolbox has no row it uses .30 and .15 ("none").
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from shards.bounded_reading import read_toml
from shards.errors import ContractError
from shards.near_names import did_you_mean

_VNIR4 = ("blue", "green", "red", "nir")
_WV8 = ("coastal", "blue", "green", "yellow", "red", "rededge", "nir1", "nir2")
NOMINAL_MS, NOMINAL_PAN = 0.30, 0.15
_LARGEST = 1 << 20  # bytes of a sensor's file


@dataclass(frozen=True, kw_only=True, slots=True)
class Sensor:
    """What the field knows of an instrument."""

    name: str
    bands: tuple[str, ...]
    ratio: int  # PAN pixels per MS pixel
    bits: int
    mtf_ms: tuple[float, ...]  # one a band
    mtf_pan: float
    source: str
    aliases: tuple[str, ...] = ()  # other names that files give it
    # Of a sensor without a PAN: pixels of its sharp bands to one of each band's, 1 for the sharp
    # ones, whose mean gain is `mtf_pan`; `ratio` is the least of the others.
    ratios: tuple[int, ...] = ()

    def on_grid(self, ratio: int) -> tuple[str, ...]:
        """The bands that have `ratio` sharp pixels to one of theirs."""
        rows = zip(self.bands, self.ratios, strict=False)
        return tuple(band for band, own in rows if own == ratio)

    def gains(self, num_bands: int) -> tuple[float, ...]:
        """One MS gain a band; the mean gain where the product has another band count."""
        if num_bands == len(self.mtf_ms):
            return self.mtf_ms
        return (sum(self.mtf_ms) / len(self.mtf_ms),) * num_bands

    def only(self, bands: Sequence[str]) -> "Sensor":
        """The row of a product that has these bands, in this order.

        "nir" stands for NIR1 where the sensor has two. Itself, where it lacks one of them.
        """
        twice = "nir" not in self.bands
        own = ["nir1" if band == "nir" and twice else band for band in bands]
        if not own or not set(own) <= set(self.bands):
            return self
        gains = dict(zip(self.bands, self.mtf_ms, strict=True))
        return replace(self, bands=tuple(own), mtf_ms=tuple(gains[band] for band in own))


def _row(
    name: str,
    bands: tuple[str, ...],
    bits: int,
    mtf_ms: tuple[float, ...] | float,
    mtf_pan: float,
    *,
    ratio: int = 4,
    source: str = "toolbox, genMTF.m and MTF_PAN.m",
    aliases: tuple[str, ...] = (),
    ratios: tuple[int, ...] = (),
) -> Sensor:
    gains = (mtf_ms,) * len(bands) if isinstance(mtf_ms, float) else mtf_ms
    return Sensor(
        name=name,
        bands=bands,
        ratio=ratio,
        bits=bits,
        mtf_ms=gains,
        mtf_pan=mtf_pan,
        source=source,
        aliases=aliases,
        ratios=ratios,
    )


_NO_ROW = "no published row; the toolbox's 'none'"
_GF1 = "MS: USGS, System Characterization Report on the Gaofen-1, as used by UniPAN; PAN: 'none'"
_WV3_GAINS = (0.325, 0.355, 0.360, 0.350, 0.365, 0.360, 0.335, 0.315)
_S2 = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12")
_S2_GAINS = (0.32, 0.26, 0.28, 0.24, 0.38, 0.34, 0.34, 0.26, 0.33, 0.26, 0.22, 0.23)
_S2_RATIOS = (6, 1, 1, 1, 2, 2, 2, 1, 2, 6, 2, 2)
_ROWS = (
    _row("QuickBird", _VNIR4, 11, (0.34, 0.32, 0.30, 0.22), 0.15, aliases=("QB", "QB2", "QB02")),
    _row("IKONOS", _VNIR4, 11, (0.26, 0.28, 0.29, 0.28), 0.17, aliases=("IK", "IK01", "IKONOS-2")),
    _row("GeoEye-1", _VNIR4, 11, 0.23, 0.16, aliases=("GE1", "GE01")),
    _row("WorldView-4", _VNIR4, 11, 0.23, 0.16, aliases=("WV4", "WV04")),
    _row("WorldView-2", _WV8, 11, (0.35,) * 7 + (0.27,), 0.11, aliases=("WV2", "WV02")),
    _row("WorldView-3", _WV8, 11, _WV3_GAINS, 0.14, aliases=("WV3", "WV03")),
    _row(
        "GaoFen-1", _VNIR4, 10, (0.25, 0.25, 0.14, 0.04), NOMINAL_PAN, source=_GF1, aliases=("GF1",)
    ),
    _row("GaoFen-2", _VNIR4, 10, NOMINAL_MS, NOMINAL_PAN, source=_NO_ROW, aliases=("GF2",)),
    _row(
        "Pleiades",
        _VNIR4,
        12,
        NOMINAL_MS,
        NOMINAL_PAN,
        source=_NO_ROW,
        aliases=("PHR", "PHR1A", "PHR1B", "Pleiades-1A", "Pleiades-1B"),
    ),
    _row("SPOT-6", _VNIR4, 12, NOMINAL_MS, NOMINAL_PAN, source=_NO_ROW),
    _row("SPOT-7", _VNIR4, 12, NOMINAL_MS, NOMINAL_PAN, source=_NO_ROW, aliases=("Azersky",)),
    _row(
        "Landsat-8",
        _VNIR4,
        12,
        NOMINAL_MS,
        NOMINAL_PAN,
        ratio=2,
        source=_NO_ROW,
        aliases=("L8", "LC8", "LC08", "Landsat 8 OLI"),
    ),
    _row(
        "Landsat-9",
        _VNIR4,
        14,
        NOMINAL_MS,
        NOMINAL_PAN,
        ratio=2,
        source=_NO_ROW,
        aliases=("L9", "LC9", "LC09", "Landsat 9 OLI-2", "Landsat 9 OLI"),
    ),
    # S2A's gains stand for all three. Files declare 15 bits: DN are reflectance times 10,000.
    _row(
        "Sentinel-2",
        _S2,
        15,
        _S2_GAINS,
        0.26,
        ratio=2,
        ratios=_S2_RATIOS,
        source="ESA, S2 MPC Data Quality Report, as SupReME uses it (Lanaras et al. 2017, CVPRW); "
        "PAN: mean of B02, B03, B04, B08",
        aliases=(
            *("S2A", "S2B", "S2C", "Sentinel-2A", "Sentinel-2B", "Sentinel-2C"),
            *("Sentinel-2 MSI", "Sentinel-2 MSI L1C", "Sentinel-2 MSI L2A"),
        ),
    ),
    _row("generic", _VNIR4, 16, NOMINAL_MS, NOMINAL_PAN, source=_NO_ROW, aliases=("none",)),
)
SENSORS = {row.name: row for row in _ROWS}
GENERIC = SENSORS["generic"]


def match_sensor(name: str) -> Sensor | None:
    """The row of that name or alias, ignoring case and punctuation; opens no file."""
    wanted = _plain(name)
    for row in _ROWS:
        if wanted in map(_plain, (row.name, *row.aliases)):
            return row
    return None


def find_sensor(name: str) -> Sensor:
    """The row of that name or alias, or of the file if it ends in .toml; ContractError if none."""
    if name.casefold().endswith(".toml"):
        return load_sensor(Path(name))
    row = match_sensor(name)
    if row is None:
        raise ContractError(
            f"no sensor {name!r}; known: {', '.join(SENSORS)}; or give a file, my.toml"
            f"{did_you_mean(name, SENSORS)}"
        )
    return row


def load_sensor(path: Path) -> Sensor:
    """A sensor of one's own, from TOML: name, bands, ratio, bits, mtf_ms, mtf_pan, source.

    mtf_ms is one gain for all bands, or a list with one a band.
    Raises: ContractError naming the file and key, what came and what is expected.
    """
    try:
        found = read_toml(path, _LARGEST)
    except (OSError, ValueError) as error:  # also TOMLDecodeError and what is no UTF-8
        raise ContractError(f"cannot read the sensor {path}: {error}") from error
    odd = [key for key in found if key not in _EXPECTED]
    if odd:
        raise ContractError(f"{path}: unknown key {odd[0]!r}; expected {', '.join(_EXPECTED)}")
    for key, expected in _EXPECTED.items():
        if key not in found:
            raise ContractError(f"{path}: {key} is missing; expected {expected}")
        if not _fits(key, found[key]):
            raise ContractError(f"{path}: {key} = {found[key]!r}; expected {expected}")
    bands, gains = found["bands"], found["mtf_ms"]
    if isinstance(gains, list) and len(gains) != len(bands):
        raise ContractError(
            f"{path}: mtf_ms has {len(gains)} gains; expected {len(bands)}, one for each of bands"
        )
    return Sensor(
        name=found["name"],
        bands=tuple(bands),
        ratio=found["ratio"],
        bits=found["bits"],
        mtf_ms=tuple(map(float, gains)) if isinstance(gains, list) else (gains,) * len(bands),
        mtf_pan=float(found["mtf_pan"]),
        source=found["source"],
    )


_EXPECTED = {
    "name": "a name",
    "bands": "a list of different names, one a band",
    "ratio": "PAN pixels per MS pixel, 2 to 8",
    "bits": "the bit depth of the DN, 1 to 16",
    "mtf_ms": "a gain in (0, 1), or a list with one a band",
    "mtf_pan": "a gain in (0, 1)",
    "source": "where the numbers come from",
}


def _fits(key: str, value: Any) -> bool:
    match key:
        case "name" | "source":
            return isinstance(value, str) and bool(value.strip())
        case "bands":
            names = isinstance(value, list) and all(isinstance(v, str) and v for v in value)
            return names and 0 < len(value) == len(set(value))
        case "ratio":
            return type(value) is int and 2 <= value <= 8
        case "bits":
            return type(value) is int and 1 <= value <= 16
        case "mtf_ms" if isinstance(value, list):
            return bool(value) and all(_is_gain(gain) for gain in value)
        case _:
            return _is_gain(value)


def _is_gain(value: Any) -> bool:
    return type(value) in (int, float) and 0 < value < 1


def _plain(name: str) -> str:
    return "".join(c for c in name.casefold() if c.isalnum())
