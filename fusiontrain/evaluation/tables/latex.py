"""Grids as LaTeX."""

from tabulate import SEPARATING_LINE, DataRow, Line, TableFormat, tabulate

from fusiontrain.evaluation.tables.grid import Grid
from fusiontrain.evaluation.tables.means import DASH

_ESCAPES = str.maketrans(
    {
        **{c: f"\\{c}" for c in "&%$#_{}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "±": r"$\pm$",
        "\n": " ",
        DASH: "--",
    }
)
_EMPHASIS = ("{}", r"\textbf{{{}}}", r"\underline{{{}}}")
_ARROWS = {
    "lower": r" $\downarrow$",
    "higher": r" $\uparrow$",
    "one": r" $\to 1$",
    "any": "",
    None: "",
}
_MIDRULE = Line(r"\midrule", "", "", "")
_ROW = DataRow("", " & ", r" \\")
# tabulate's own booktabs format escapes its cells, and with them the emphasis.
_BOOKTABS = TableFormat(
    lineabove=Line(r"\toprule", "", "", ""),
    linebelowheader=_MIDRULE,
    linebetweenrows=None,
    linebelow=Line(r"\bottomrule", "", "", ""),
    headerrow=_ROW,
    datarow=_ROW,
    padding=0,
    with_header_hide=None,
)


def as_latex(grid: Grid) -> str:
    """A table environment for booktabs: the best bold, the second underlined."""
    heads = [grid.label.capitalize()]
    heads += [_escaped(column.name) + _ARROWS[column.better] for column in grid.columns]
    rows: list[list[str] | str] = []
    for place, row in enumerate(grid.rows):
        if place and row.origin and not grid.rows[place - 1].origin:
            rows.append(SEPARATING_LINE)
        mark = f"$^{{{grid.mark(row.origin)}}}$" if row.origin else ""
        cells = (_EMPHASIS[cell.rank].format(_escaped(cell.text)) for cell in row.cells)
        rows.append([_escaped(row.label) + mark, *cells])
    aligns = ["left", *(column.align for column in grid.columns)]
    body = tabulate(rows, heads, tablefmt=_BOOKTABS, colalign=aligns, disable_numparse=True)
    notes = [
        rf"\par\footnotesize $^{{{grid.mark(source)}}}$ published: {_escaped(source)}"
        for source in grid.sources
    ]
    if grid.note:
        notes.append(rf"\par\footnotesize {_escaped(grid.note)}")
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_escaped(grid.title)}}}",
            rf"\begin{{tabular}}{{{''.join(align[0] for align in aligns)}}}",
            body,
            r"\end{tabular}",
            *notes,
            r"\end{table}",
            "",
        ]
    )


def _escaped(text: str) -> str:
    return text.translate(_ESCAPES)
