"""Scores that others published: read from a CSV, shown beside ours, never ranked with them."""

import csv
import io
import math
from pathlib import Path

from fusiontrain.errors import SceneError
from fusiontrain.evaluation.score_image import INDICES
from fusiontrain.evaluation.tables import PROTOCOLS, Row
from shards.bounded_reading import read_bounded
from shards.sensors import match_sensor

REQUIRED = ("scene", "sensor", "protocol", "method", "source")
_OURS = {index.casefold(): index for indices in INDICES.values() for index in indices}


def read_published(path: Path) -> list[Row]:
    """Rows of a CSV: scene, sensor, protocol, method, source, and a column for each index.

    Sensors and indices that are ours have our names, whatever the case or alias in the file.
    Raises: SceneError naming the file, the line and what is wrong.
    """
    try:
        text = read_bounded(path).decode("utf-8-sig")
        lines = list(csv.DictReader(io.StringIO(text, newline=""), restkey=""))
    except (OSError, ValueError, csv.Error) as error:
        raise SceneError(f"cannot read {path}: {error}") from error
    rows = [_row(line, f"{path}, line {number}") for number, line in enumerate(lines, 2)]
    names = [(row.scene, row.protocol, row.method) for row in rows]
    if repeated := {name for name in names if names.count(name) > 1}:
        raise SceneError(f"{path}: more than one row for {', '.join(min(repeated))}")
    return rows


def _row(line: dict[str, str], place: str) -> Row:
    if missing := [name for name in REQUIRED if not line.get(name)]:
        raise SceneError(f"{place}: expected a value for {', '.join(missing)}")
    if "" in line:
        raise SceneError(f"{place}: more values than the heading has columns")
    if line["protocol"] not in PROTOCOLS:
        raise SceneError(f"{place}: protocol is {' or '.join(PROTOCOLS)}; got {line['protocol']!r}")
    indices = {}
    for name, text in line.items():
        if name in REQUIRED or not text:
            continue
        index = _OURS.get(name.strip().casefold(), name)
        if index in indices:
            raise SceneError(f"{place}: two columns for {index}")
        indices[index] = _number(text, f"{place}: {name}")
    sensor = match_sensor(line["sensor"])
    return Row(
        scene=line["scene"],
        sensor=line["sensor"] if sensor is None else sensor.name,
        protocol=line["protocol"],
        method=line["method"],
        indices=indices,
        origin=line["source"],
    )


def _number(text: str, what: str) -> float:
    try:
        value = float(text)
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise SceneError(f"{what} must be a number; got {text!r}")
    return value
