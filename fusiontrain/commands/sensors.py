"""List the sensors: names, ratio, bits, bands with wavelengths (nm), MTF gains, source.

MTF: gain at Nyquist, of PAN at the PAN's and of each band at the MS's. A sensor of your own is a
file: --sensor my.toml (docs/guides/own-sensor.md).
"""

from argparse import Namespace
from typing import Any

from fusiontrain.commands.listing import listing_parser, print_listing
from shards.command_line import PlainFlags
from shards.sensors import SENSORS, Sensor
from shards.wavelengths import PAN, WAVELENGTHS


def make_parser() -> PlainFlags:
    return listing_parser("sensors", __doc__)


def run(args: Namespace) -> int:
    rows = [_row(sensor) for sensor in SENSORS.values()]
    facts = [_facts(sensor) for sensor in SENSORS.values()]
    print_listing(rows, facts, as_json=args.json)
    return 0


def _row(sensor: Sensor) -> dict[str, str]:
    ends = WAVELENGTHS.get(sensor.name, {})

    def band(name: str) -> str:
        return f"{name} {ends[name][0]}-{ends[name][1]}" if name in ends else name

    has_pan = () if sensor.ratios else (PAN,)
    gains = " ".join(f"{gain:.3g}" for gain in sensor.mtf_ms)
    return {
        "name": sensor.name,
        "aliases": ", ".join(sensor.aliases) or "-",
        "ratio": " ".join(map(str, sorted(set(sensor.ratios) - {1}) or [sensor.ratio])),
        "bits": str(sensor.bits),
        "bands, nm": ", ".join(map(band, (*has_pan, *sensor.bands))),
        "MTF PAN": f"{sensor.mtf_pan:.3g}",
        "MTF of bands": gains,
        "source of MTF": sensor.source,
    }


def _facts(sensor: Sensor) -> dict[str, Any]:
    ends = WAVELENGTHS.get(sensor.name, {})
    ratios = sensor.ratios or (sensor.ratio,) * len(sensor.bands)
    bands = zip(sensor.bands, sensor.mtf_ms, ratios, strict=True)
    return {
        "name": sensor.name,
        "aliases": list(sensor.aliases),
        "ratio": sensor.ratio,
        "bits": sensor.bits,
        "bands": [{"name": b, "nm": ends.get(b), "mtf": m, "ratio": r} for b, m, r in bands],
        "pan": {"nm": ends.get(PAN), "mtf": sensor.mtf_pan},
        "source": sensor.source,
    }
