"""Rows to tables: mean and std a sensor, or scene by scene, and who is best.

Ours are ranked against each other by the digits shown, so that what looks equal counts as equal.
Published rows are not ranked: their scenes, cuts and index code are not ours.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev
from typing import Literal

from fusiontrain.errors import SceneError

PROTOCOLS = {
    "reduced": "reduced resolution",
    "full": "full resolution",
    "known": "known truth",
}
DASH = "\N{EN DASH}"
# Which values of an index are better; `any`: none by itself. An index that is not named: lower.
Direction = Literal["lower", "higher", "one", "any"]
Directions = Mapping[str, Direction]


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One method on one scene."""

    scene: str
    sensor: str
    protocol: str  # of PROTOCOLS
    method: str
    indices: dict[str, float]  # may lack some; NaN counts as lacking
    origin: str = ""  # "" measured here, else the source of a published number


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """An index of a method, over the scenes that have it."""

    mean: float  # NaN: no scene has it
    std: float  # with N - 1; NaN below two scenes
    count: int
    of: int  # scenes it should be over
    digits: int  # decimals shown
    rank: int  # 1 best, 2 second, 0 neither or not ranked

    def __str__(self) -> str:
        if not self.count:
            return DASH
        spread = "" if math.isnan(self.std) else f" ± {self.std:.{self.digits}f}"
        share = f" ({self.count}/{self.of})" if self.count < self.of else ""
        return f"{self.mean:.{self.digits}f}{spread}{share}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A method's cells, one an index."""

    method: str
    origin: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A sensor's means under one protocol, or one scene's values."""

    title: str
    protocol: str
    scenes: tuple[str, ...]
    indices: tuple[str, ...]
    directions: dict[str, Direction]  # of each index
    lines: tuple[Line, ...]  # ours in the order given, then published ones


_ORDER: dict[Direction, Callable[[float], float]] = {
    "lower": lambda value: value,
    "higher": lambda value: -value,
    "one": lambda value: abs(value - 1),
    "any": lambda _: 0.0,
}


def kind_of(method: str) -> str:
    """Of a method by its name: network, registered, soft or plain."""
    if method.startswith("network"):
        return "network"
    if method.endswith(" registered"):
        return "registered"
    return "soft" if method.endswith(" soft") else "plain"


def sensor_tables(rows: Sequence[Row], *, better: Directions) -> list[Table]:
    """Mean and std over scenes: one table a protocol and sensor, in the order they come.

    A mean over fewer scenes than another's is not ranked: it may have met the easy ones.
    Raises: SceneError if a method has two rows for one scene, or a protocol is unknown.
    """

    def title(first: Row, scenes: int) -> str:
        plural = "scene" if scenes == 1 else "scenes"
        return f"{first.sensor}, {PROTOCOLS[first.protocol]}, {scenes} {plural}"

    return _grouped(rows, better, lambda row: (row.protocol, row.sensor), title)


def scene_tables(rows: Sequence[Row], *, better: Directions) -> list[Table]:
    """Values scene by scene: one table a protocol and scene, in the order they come."""

    def title(first: Row, _: int) -> str:
        return f"{first.scene} ({first.sensor}), {PROTOCOLS[first.protocol]}"

    return _grouped(rows, better, lambda row: (row.protocol, row.sensor, row.scene), title)


def _grouped(
    rows: Sequence[Row],
    better: Directions,
    key: Callable[[Row], tuple[str, ...]],
    title: Callable[[Row, int], str],
) -> list[Table]:
    names = set()
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        if row.protocol not in PROTOCOLS:
            known = ", ".join(PROTOCOLS)
            raise SceneError(f"protocol must be one of {known}; got {row.protocol!r}")
        name = (row.protocol, row.sensor, row.scene, row.method, row.origin)
        if name in names:
            raise SceneError(f"{row.method} has two rows for {row.scene}, {row.protocol}; give one")
        names.add(name)
        groups.setdefault(key(row), []).append(row)
    digits = {
        protocol: _digits([r for r in rows if r.protocol == protocol]) for protocol, *_ in groups
    }
    return [_table(group, better, digits[group[0].protocol], title) for group in groups.values()]


def _table(
    rows: list[Row],
    better: Directions,
    digits: dict[str, int],
    title: Callable[[Row, int], str],
) -> Table:
    scenes = tuple(dict.fromkeys(r.scene for r in [r for r in rows if not r.origin] or rows))
    lines: dict[tuple[str, str], list[Row]] = {}
    for row in sorted(rows, key=lambda row: row.origin != ""):
        lines.setdefault((row.method, row.origin), []).append(row)
    indices = indices_of(rows)
    directions = {index: better.get(index, "lower") for index in indices}
    columns = [
        _column(
            [_finite(group, index) for group in lines.values()],
            ranked=[not origin for _, origin in lines],
            of=len(scenes),
            digits=digits[index],
            better=directions[index],
        )
        for index in indices
    ]
    return Table(
        title=title(rows[0], len(scenes)),
        protocol=rows[0].protocol,
        scenes=scenes,
        indices=indices,
        directions=directions,
        lines=tuple(
            Line(method=method, origin=origin, cells=tuple(column[i] for column in columns))
            for i, (method, origin) in enumerate(lines)
        ),
    )


def indices_of(rows: Iterable[Row]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for row in rows for name in row.indices))


def _finite(rows: Iterable[Row], index: str) -> list[float]:
    values = (row.indices.get(index, math.nan) for row in rows)
    return [value for value in values if math.isfinite(value)]


def _digits(rows: list[Row]) -> dict[str, int]:
    """Four figures or so; by the median, so that a failed method costs the others no digits."""
    sizes = {i: median(map(abs, _finite(rows, i) or [0.0])) for i in indices_of(rows)}
    return {i: 4 if s < 2 else 3 if s < 20 else 2 if s < 200 else 1 for i, s in sizes.items()}


def _column(
    lines: list[list[float]], *, ranked: list[bool], of: int, digits: int, better: Direction
) -> list[Cell]:
    most = max((len(v) for v, ours in zip(lines, ranked, strict=True) if ours), default=0)
    shown = [
        round(fmean(v), digits) if ours and len(v) == most > 0 else None
        for v, ours in zip(lines, ranked, strict=True)
    ]
    order = sorted({value for value in shown if value is not None}, key=_ORDER[better])
    alone = sum(value is not None for value in shown) < 2 or better == "any"
    return [
        Cell(
            mean=fmean(v) if v else math.nan,
            std=stdev(v) if len(v) > 1 else math.nan,
            count=len(v),
            of=of if ours else len(v),
            digits=digits,
            rank=0 if value is None or alone or value not in order[:2] else order.index(value) + 1,
        )
        for v, value, ours in zip(lines, shown, ranked, strict=True)
    ]
