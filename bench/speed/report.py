"""The figures of bench/results.json into docs/reports/performance.md, each between its markers.

python -m bench.speed.report

A block `<!-- figures: NAME -->` ... `<!-- end -->` becomes the table that the bench of that name
recorded, with its command, date, machine and load. Names without a record stay as they are.
"""

import json
import re
from pathlib import Path
from typing import Any

from bench.speed.record import RESULTS

REPORT = Path(__file__).parents[2] / "docs/reports/performance.md"
_BLOCK = re.compile(r"(<!-- figures: (.+?) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def table(entry: dict[str, Any]) -> str:
    """A row a figure, a column a number; below it where they come from."""
    rows = {
        name: row if isinstance(row, dict) else {"": row} for name, row in entry["figures"].items()
    }
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    lines = [f"| | {' | '.join(columns)} |", "|---" + "|---:" * len(columns) + "|"]
    for name, row in rows.items():
        cells = [_shown(row[column]) if column in row else "-" for column in columns]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    machine = entry["machine"]
    where = f"{machine['cores']} cores, {machine['cpu']}"
    if "load" in machine:
        where += f", load {machine['load']:g}"
    return "\n".join([*lines, "", f"`{entry['command']}`, {entry['date']}, {where}.", ""])


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return str(value)


def filled(text: str, results: dict[str, Any]) -> str:
    """The report with its blocks renewed."""

    def block(found: re.Match[str]) -> str:
        begin, name, old, end = found.groups()
        return begin + (table(results[name]) if name in results else old) + end

    return _BLOCK.sub(block, text)


if __name__ == "__main__":
    REPORT.write_text(filled(REPORT.read_text(), json.loads(RESULTS.read_text())))
