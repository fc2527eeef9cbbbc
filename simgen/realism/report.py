"""A comparison as a table for the terminal, as Markdown and as JSON."""

from typing import Any

import numpy as np
from rich.table import Table
from rich.text import Text

from shards.console import printable
from simgen.realism.compare import LEVELS, Comparison
from simgen.realism.distance import Values, wasserstein
from simgen.realism.statistics import STATISTICS

_SCALE = {s.name: s.scale for s in STATISTICS}


def rows(found: Comparison) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the table; the nearest build of a row is marked with *."""
    names = [side.name for side in found.builds]
    head = ["statistic", "real", *names, *(f"d {name}" for name in names), "d real"]
    body = []
    for s in STATISTICS:
        sides = [found.real, *found.builds]
        distances = [found.distances[name][s.name] for name in names]
        body.append(
            [s.name]
            + [_spread(side.values[s.name]) for side in sides]
            + [f"{d:.2f}{'*' if d == min(distances) else ''}" for d in distances]
            + [_number(found.between_real[s.name])]
        )
    means = [mean_distance(found, name) for name in names]
    body.append(
        ["mean distance", ""]
        + [""] * len(names)
        + [f"{d:.2f}{'*' if d == min(means) else ''}" for d in means]
        + [_number(float(np.mean(list(found.between_real.values()))))]
    )
    return head, body


def mean_distance(found: Comparison, name: str) -> float:
    """Over all statistics, each in units of its scale."""
    return float(np.mean(list(found.distances[name].values())))


def rich_table(found: Comparison) -> Table:
    """Raises nothing; widths are the terminal's."""
    head, body = rows(found)
    # Text and printable: names of builds may hold rich's markup, or what steers a terminal.
    table = Table(title=Text(printable(caption(found))), title_justify="left")
    for i, name in enumerate(head):
        table.add_column(Text(printable(name)), justify="left" if i == 0 else "right")
    for row in body:
        cells = (Text(printable(cell)) for cell in row)
        table.add_row(*cells, end_section=row is body[-2])
    return table


def caption(found: Comparison) -> str:
    """What was measured on how much."""
    builds = ", ".join(f"{side.name} {side.pairs}" for side in found.builds)
    return (
        f"Mean +- spread, and distance d (1-Wasserstein by scale, 0: alike, *: nearest). Real: "
        f"{found.real.pairs} tiles of {len(found.scenes)} scenes; samples: {builds}."
    )


def markdown(found: Comparison) -> str:
    """The table, levels by bit depth, and what each row is."""
    head, body = rows(found)
    names = [side.name for side in found.builds]
    lines = [caption(found), "", _line(head), _line(["---"] * len(head)), *map(_line, body)]
    lines += [
        "",
        "Levels by bit depth, in shares of full scale (- : no samples of that depth):",
        "",
    ]
    level_head = ["bits", "statistic", "real", *names, *(f"d {name}" for name in names)]
    lines += [_line(level_head), _line(["---"] * len(level_head))]
    for bits, values in found.real.by_bits.items():
        for level in LEVELS:
            theirs = [side.by_bits.get(bits, {}).get(level) for side in found.builds]
            lines.append(
                _line(
                    [str(bits), level, _spread(values[level])]
                    + ["-" if v is None else _spread(v) for v in theirs]
                    + ["-" if v is None else f"{_far(v, values[level], level):.2f}" for v in theirs]
                )
            )
    lines += ["", _line(["statistic", "what", "unit", "scale"]), _line(["---"] * 4)]
    lines += [_line([s.name, s.text, s.unit, f"{s.scale:g}"]) for s in STATISTICS]
    return "\n".join(lines) + "\n"


def as_data(found: Comparison) -> dict[str, Any]:
    """Plain JSON types; what could not be measured is null."""
    return {
        "real": {"tiles": found.real.pairs, "scenes": dict(sorted(found.scenes.items()))},
        "builds": {
            side.name: {"samples": side.pairs, "mean_distance": mean_distance(found, side.name)}
            for side in found.builds
        },
        "statistics": {
            s.name: {
                "text": s.text,
                "unit": s.unit,
                "scale": s.scale,
                "real": _told(found.real.values[s.name]),
                "between_real": _finite(found.between_real[s.name]),
                "builds": {
                    side.name: {
                        **_told(side.values[s.name]),
                        "distance": found.distances[side.name][s.name],
                    }
                    for side in found.builds
                },
            }
            for s in STATISTICS
        },
        "by_bits": {
            side.name: {
                str(bits): {level: _told(values) for level, values in levels.items()}
                for bits, levels in side.by_bits.items()
            }
            for side in (found.real, *found.builds)
        },
    }


def _far(a: Values, b: Values, level: str) -> float:
    return wasserstein(a, b) / _SCALE[level]


def _told(values: Values) -> dict[str, float]:
    return {"mean": values.mean, "spread": values.spread}


def _spread(values: Values) -> str:
    return f"{values.mean:.3f} +- {values.spread:.3f}"


def _number(value: float) -> str:
    return f"{value:.2f}" if np.isfinite(value) else "-"


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
