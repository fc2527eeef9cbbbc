"""Rows as CSV."""

import csv
import io
import math
from collections.abc import Sequence

from fusiontrain.evaluation.tables.means import Row, indices_of


def as_csv(rows: Sequence[Row]) -> str:
    """Every row with every index at full precision; what is missing is empty."""
    indices = indices_of(rows)
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["scene", "sensor", "protocol", "method", "origin", *indices])
    for row in rows:
        values = (row.indices.get(index, math.nan) for index in indices)
        cells = (repr(float(v)) if math.isfinite(v) else "" for v in values)
        writer.writerow([row.scene, row.sensor, row.protocol, row.method, row.origin, *cells])
    return file.getvalue()
