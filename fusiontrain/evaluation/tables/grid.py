"""A table as every writer takes it: text with ranks, no numbers. Markup is the writers' own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fusiontrain.evaluation.tables.means import DASH, Direction, Table, kind_of

ARROWS: dict[Direction, str] = {"higher": "↑", "lower": "↓", "one": "→1", "any": ""}
MEANINGS: dict[Direction, str] = {
    "higher": "higher is better",
    "lower": "lower is better",
    "one": "nearest one is better",
    "any": "neither more nor less is better",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """`better`: the direction in which an index is better; None: a column of text."""

    name: str
    better: Direction | None = None

    @property
    def align(self) -> Literal["left", "right"]:
        return "left" if self.better is None else "right"


@dataclass(frozen=True, kw_only=True, slots=True)
class GridCell:
    text: str
    rank: int = 0  # 1 best, 2 second, 0 neither


@dataclass(frozen=True, kw_only=True, slots=True)
class GridRow:
    label: str
    cells: tuple[GridCell, ...]  # one a column
    kind: str = ""  # of the method, for colours
    origin: str = ""  # "" measured here, else the source of a published row


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid:
    """Rows under a title; `label` heads the first column, `columns` the others."""

    title: str
    label: str
    columns: tuple[Column, ...]
    rows: tuple[GridRow, ...]
    with_origin: bool = False  # a last column says where each row is from
    note: str = ""  # a sentence below the table

    @property
    def sources(self) -> tuple[str, ...]:
        """Where published rows are from; the place of each gives its footnote mark."""
        return tuple(dict.fromkeys(row.origin for row in self.rows if row.origin))

    def mark(self, source: str) -> str:
        """The footnote mark of a source: a, b, ... z, aa, ab, ...; none for measured rows."""
        number, mark = self.sources.index(source) + 1 if source else 0, ""
        while number:
            number, letter = divmod(number - 1, 26)
            mark = chr(ord("a") + letter) + mark
        return mark


def score_grid(table: Table, note: str = "") -> Grid:
    """Methods down, indices across; `note` below."""
    return Grid(
        title=table.title,
        label="method",
        columns=tuple(
            Column(name=index, better=table.directions[index]) for index in table.indices
        ),
        rows=tuple(
            GridRow(
                label=line.method,
                cells=tuple(GridCell(text=str(cell), rank=cell.rank) for cell in line.cells),
                kind="published" if line.origin else kind_of(line.method),
                origin=line.origin,
            )
            for line in table.lines
        ),
        with_origin=True,
        note=note,
    )


def widened(grids: Sequence[Grid]) -> list[Grid]:
    """The same grids with the columns of all of them; what one lacks is a dash."""
    columns = tuple(dict.fromkeys(column for grid in grids for column in grid.columns))
    wide = []
    for grid in grids:
        place = {column: i for i, column in enumerate(grid.columns)}
        rows = tuple(
            GridRow(
                label=row.label,
                cells=tuple(
                    row.cells[place[column]] if column in place else GridCell(text=DASH)
                    for column in columns
                ),
                kind=row.kind,
                origin=row.origin,
            )
            for row in grid.rows
        )
        wide.append(
            Grid(
                title=grid.title,
                label=grid.label,
                columns=columns,
                rows=rows,
                with_origin=grid.with_origin,
            )
        )
    return wide
