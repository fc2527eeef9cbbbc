"""Tables as Markdown, LaTeX and plain text; rows as CSV."""

import csv
import io
import math
from collections.abc import Sequence

from fusiontrain.evaluation.tables.means import DASH, Row, Table, directions, indices_of, mark_of

_LATEX = str.maketrans(
    {
        **{c: f"\\{c}" for c in "&%$#_{}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "\n": " ",
        DASH: "--",
    }
)
_MARKDOWN = str.maketrans({**{c: f"\\{c}" for c in "\\|*_`<>[]"}, "\n": " "})


def as_markdown(table: Table) -> str:
    """A pipe table: the best bold, the second underlined."""
    arrows = [arrow for _, arrow in directions(table.indices, table.better_high)]
    heads = [f"{_plain_markdown(n)} {a}" for n, a in zip(table.indices, arrows, strict=True)]
    wraps = ("{}", "**{}**", "<ins>{}</ins>")  # <u> is dropped by many renderers
    lines = [
        f"**{_plain_markdown(table.title)}**",
        "",
        f"| method | {' | '.join(heads)} | origin |",
        f"|:---|{'---:|' * len(heads)}:---|",
    ]
    for line in table.lines:
        cells = " | ".join(wraps[cell.rank].format(cell) for cell in line.cells)
        mark = f"published <sup>{mark_of(table.sources, line.origin)}</sup>"
        origin = mark if line.origin else "measured"
        lines.append(f"| {_plain_markdown(line.method)} | {cells} | {origin} |")
    for source in table.sources:
        lines += ["", f"<sup>{mark_of(table.sources, source)}</sup> {_plain_markdown(source)}"]
    return "\n".join(lines) + "\n"


def _plain_markdown(text: str) -> str:
    return text.translate(_MARKDOWN)


def as_latex(table: Table) -> str:
    """A table environment for booktabs: the best bold, the second underlined."""
    wraps = ("{}", r"\textbf{{{}}}", r"\underline{{{}}}")
    arrows = {"lower": r"$\downarrow$", "higher": r"$\uparrow$"}
    heads = [
        f"{name.translate(_LATEX)} {arrows[word]}"
        for name, (word, _) in zip(
            table.indices, directions(table.indices, table.better_high), strict=True
        )
    ]
    body = []
    ours = sum(not line.origin for line in table.lines)
    for place, line in enumerate(table.lines):
        if 0 < place == ours:
            body.append(r"\midrule")
        cells = (
            wraps[cell.rank].format(str(cell).translate(_LATEX).replace("±", r"$\pm$"))
            for cell in line.cells
        )
        mark = rf"$^{{{mark_of(table.sources, line.origin)}}}$" if line.origin else ""
        body.append(" & ".join([line.method.translate(_LATEX) + mark, *cells]) + r" \\")
    notes = [
        rf"\par\footnotesize $^{{{mark_of(table.sources, source)}}}$ published: "
        + source.translate(_LATEX)
        for source in table.sources
    ]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{table.title.translate(_LATEX)}}}",
            rf"\begin{{tabular}}{{l{'r' * len(heads)}}}",
            r"\toprule",
            " & ".join(["Method", *heads]) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            *notes,
            r"\end{table}",
            "",
        ]
    )


def as_text(table: Table) -> str:
    """Columns for a terminal: * the best, + the second."""
    arrows = [arrow for _, arrow in directions(table.indices, table.better_high)]
    heads = [f"{name} {arrow} " for name, arrow in zip(table.indices, arrows, strict=True)]
    grid = [["method", *heads]]
    for line in table.lines:
        mark = f" [{mark_of(table.sources, line.origin)}]" if line.origin else ""
        grid.append([line.method + mark, *(f"{cell}{' *+'[cell.rank]}" for cell in line.cells)])
    widths = [max(map(len, column)) for column in zip(*grid, strict=True)]
    lines = [table.title]
    for first, *rest in grid:
        cells = (c.rjust(w) for c, w in zip(rest, widths[1:], strict=True))
        lines.append("  ".join([first.ljust(widths[0]), *cells]).rstrip())
    lines += [f"[{mark_of(table.sources, s)}] published: {s}" for s in table.sources]
    return "\n".join(lines)


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
