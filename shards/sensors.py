"""Sensors, one sourced row each.

Gains are MTF at Nyquist: of the MS at the MS's, of the PAN at the PAN's.
Source of the gains unless said: genMTF.m and MTF_PAN.m of the toolbox of Vivone et al.
2015, TGRS 53(5):2565-2586. Where the toolbox has no row it uses .30 and .15 ("none").
"""

from dataclasses import dataclass

from shards.errors import ContractError

_VNIR4 = ("blue", "green", "red", "nir")
_WV8 = ("coastal", "blue", "green", "yellow", "red", "rededge", "nir1", "nir2")
NOMINAL_MS, NOMINAL_PAN = 0.30, 0.15


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

    def gains(self, num_bands: int) -> tuple[float, ...]:
        """One MS gain a band; the mean gain where the product has another band count."""
        if num_bands == len(self.mtf_ms):
            return self.mtf_ms
        return (sum(self.mtf_ms) / len(self.mtf_ms),) * num_bands


def _row(
    name: str,
    bands: tuple[str, ...],
    bits: int,
    mtf_ms: tuple[float, ...] | float,
    mtf_pan: float,
    *,
    ratio: int = 4,
    source: str = "toolbox, genMTF.m and MTF_PAN.m",
) -> Sensor:
    gains = (mtf_ms,) * len(bands) if isinstance(mtf_ms, float) else mtf_ms
    return Sensor(
        name=name, bands=bands, ratio=ratio, bits=bits, mtf_ms=gains, mtf_pan=mtf_pan, source=source
    )


_NO_ROW = "no published row; the toolbox's 'none'"
_ROWS = (
    _row("QuickBird", _VNIR4, 11, (0.34, 0.32, 0.30, 0.22), 0.15),
    _row("IKONOS", _VNIR4, 11, (0.26, 0.28, 0.29, 0.28), 0.17),
    _row("GeoEye-1", _VNIR4, 11, 0.23, 0.16),
    _row("WorldView-4", _VNIR4, 11, 0.23, 0.16),
    _row("WorldView-2", _WV8, 11, (0.35,) * 7 + (0.27,), 0.11),
    _row("WorldView-3", _WV8, 11, (0.325, 0.355, 0.360, 0.350, 0.365, 0.360, 0.335, 0.315), 0.14),
    _row("GaoFen-2", _VNIR4, 10, NOMINAL_MS, NOMINAL_PAN, source=_NO_ROW),
    _row("Pleiades", _VNIR4, 12, NOMINAL_MS, NOMINAL_PAN, source=_NO_ROW),
    _row("SPOT-6", _VNIR4, 12, NOMINAL_MS, NOMINAL_PAN, source=_NO_ROW),
    _row("Landsat-8", _VNIR4, 12, NOMINAL_MS, NOMINAL_PAN, ratio=2, source=_NO_ROW),
    _row("generic", _VNIR4, 16, NOMINAL_MS, NOMINAL_PAN, source=_NO_ROW),
)
SENSORS = {row.name: row for row in _ROWS}
GENERIC = SENSORS["generic"]


def find_sensor(name: str) -> Sensor:
    """The row whose name matches, ignoring case and punctuation; ContractError if none."""
    wanted = _plain(name)
    for row in _ROWS:
        if _plain(row.name) == wanted:
            return row
    raise ContractError(f"no sensor {name!r}; known: {', '.join(SENSORS)}")


def _plain(name: str) -> str:
    return "".join(c for c in name.casefold() if c.isalnum())
