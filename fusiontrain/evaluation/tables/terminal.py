"""Grids for a terminal, and as plain text for a pipe."""

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text
from tabulate import tabulate

from fusiontrain.evaluation.tables.grid import ARROWS, Column, Grid, GridRow
from shards.console import printable

_MARKS = (" ", "*", "+")  # neither, best, second
_STYLES = ("", "bold", "underline")


def as_rich(grid: Grid) -> RenderableType:
    """Columns under the title: the best bold, the second underlined."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_edge=False)
    table.add_column(Text(grid.label))
    for column in grid.columns:
        table.add_column(Text(_head(column)), justify=column.align)
    for row in grid.rows:
        cells = (Text.assemble((cell.text, _STYLES[cell.rank])) for cell in row.cells)
        table.add_row(Text(_label(grid, row)), *cells)
    return Group(Text(printable(grid.title), style="bold"), table, *map(Text, _notes(grid)))


def as_text(grid: Grid) -> str:
    """Columns under the title: * the best, + the second."""
    # Every number ends with a mark or a blank, so that the digits lie below each other.
    heads = [grid.label, *(_head(c) + (" " if c.better else "") for c in grid.columns)]
    rows = [
        [
            _label(grid, row),
            *(
                cell.text + (_MARKS[cell.rank] if column.better else "")
                for column, cell in zip(grid.columns, row.cells, strict=True)
            ),
        ]
        for row in grid.rows
    ]
    table = tabulate(
        rows,
        heads,
        tablefmt="plain",
        colalign=["left", *(column.align for column in grid.columns)],
        disable_numparse=True,
        preserve_whitespace=True,
    )
    lines = (line.rstrip() for line in table.splitlines())
    return "\n".join([printable(grid.title), *lines, *_notes(grid)])


def print_grid(grid: Grid, console: Console) -> None:
    """To a terminal, or as plain text where the output is not one."""
    console.print()
    if console.is_terminal:
        console.print(as_rich(grid))
    else:
        console.print(as_text(grid), markup=False, highlight=False, soft_wrap=True)


def _head(column: Column) -> str:
    return f"{column.name} {ARROWS[column.better]}".rstrip() if column.better else column.name


def _label(grid: Grid, row: GridRow) -> str:
    label = printable(row.label)
    return f"{label} [{grid.mark(row.origin)}]" if row.origin else label


def _notes(grid: Grid) -> list[str]:
    notes = [f"[{grid.mark(source)}] published: {source}" for source in grid.sources]
    return [printable(note) for note in ([*notes, grid.note] if grid.note else notes)]
