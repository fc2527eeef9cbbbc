"""Grids as Markdown."""

from collections.abc import Sequence

from tabulate import tabulate

from fusiontrain.evaluation.tables.grid import ARROWS, Grid

_ESCAPES = str.maketrans({**{c: f"\\{c}" for c in "\\|*_`<>[]"}, "\n": " "})
_EMPHASIS = ("{}", "**{}**", "<ins>{}</ins>")  # <u> is dropped by many renderers


def as_markdown(grid: Grid) -> str:
    """A pipe table under its title: the best bold, the second underlined."""
    heads = [grid.label]
    for column in grid.columns:
        arrow = f" {ARROWS[column.better]}" if column.better else ""
        heads.append(escaped(column.name) + arrow.rstrip())
    aligns = ["left", *(column.align for column in grid.columns)]
    rows = [
        [
            escaped(row.label),
            *(_EMPHASIS[cell.rank].format(escaped(cell.text)) for cell in row.cells),
        ]
        for row in grid.rows
    ]
    if grid.with_origin:
        heads.append("origin")
        aligns.append("left")
        for cells, row in zip(rows, grid.rows, strict=True):
            published = f"published <sup>{grid.mark(row.origin)}</sup>"
            cells.append(published if row.origin else "measured")
    lines = [f"**{escaped(grid.title)}**", "", pipe_table(heads, rows, aligns)]
    for source in grid.sources:
        lines += ["", f"<sup>{grid.mark(source)}</sup> {escaped(source)}"]
    if grid.note:
        lines += ["", escaped(grid.note)]
    return "\n".join(lines) + "\n"


def pipe_table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], aligns: Sequence[str] | None = None
) -> str:
    """Cells of Markdown as a table; `aligns` "left" or "right" a column, default left."""
    aligns = aligns or ["left"] * len(heads)
    return tabulate(rows, heads, tablefmt="pipe", colalign=aligns, disable_numparse=True)


def escaped(text: str) -> str:
    """Text as Markdown that shows it."""
    return text.translate(_ESCAPES)
