"""Tables as HTML, for a page that brings the style."""

from collections.abc import Sequence
from html import escape

from fusiontrain.evaluation.tables.means import DASH, Table, directions, kind_of, mark_of


def as_html(table: Table) -> str:
    """A <table> under its caption, and its sources."""
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(table.title)}">'
        '<table class="indices">'
        f"<caption>{escape(table.title)}</caption>{_html_head(table.indices, table.better_high)}"
        f"<tbody>{_html_lines(table, table.indices, table.sources)}</tbody></table></div>"
        f"{_html_sources(table.sources)}"
    )


def all_as_html(tables: Sequence[Table]) -> str:
    """Many tables as one <table>, a <tbody> each under its title; an index one lacks is a dash."""
    indices = tuple(dict.fromkeys(name for table in tables for name in table.indices))
    high = frozenset(name for table in tables for name in table.better_high)
    sources = tuple(dict.fromkeys(source for table in tables for source in table.sources))
    bodies = "".join(
        f'<tbody><tr class="title"><th colspan="{len(indices) + 2}" scope="rowgroup">'
        f"<span>{escape(table.title)}</span></th></tr>"
        f"{_html_lines(table, indices, sources)}</tbody>"
        for table in tables
    )
    return (
        '<div class="scroll tall" tabindex="0" role="region" aria-label="every scene">'
        f'<table class="indices">{_html_head(indices, high)}'
        f"{bodies}</table></div>{_html_sources(sources)}"
    )


def _html_head(indices: tuple[str, ...], better_high: frozenset[str]) -> str:
    heads = "".join(
        f'<th scope="col">{escape(name)}&nbsp;<abbr title="{word} is better">{arrow}</abbr></th>'
        for name, (word, arrow) in zip(indices, directions(indices, better_high), strict=True)
    )
    return f'<thead><tr><th scope="col">method</th>{heads}<th scope="col">origin</th></tr></thead>'


def _html_lines(table: Table, indices: tuple[str, ...], sources: tuple[str, ...]) -> str:
    wraps = ("{}", "<b>{}</b>", "<u>{}</u>")
    place = {name: i for i, name in enumerate(table.indices)}
    parts = []
    for line in table.lines:
        cells = (line.cells[place[name]] if name in place else None for name in indices)
        shown = "".join(
            f"<td>{DASH if cell is None else wraps[cell.rank].format(escape(str(cell)))}</td>"
            for cell in cells
        )
        origin, kind = "measured", kind_of(line.method)
        if line.origin:
            mark = f"<sup>{mark_of(sources, line.origin)}</sup>"
            origin, kind = (
                f'<abbr title="{escape(line.origin)}">published</abbr>{mark}',
                "published",
            )
        parts.append(
            f'<tr class="{kind}"><th scope="row">{escape(line.method)}</th>{shown}'
            f'<td class="origin">{origin}</td></tr>'
        )
    return "".join(parts)


def _html_sources(sources: tuple[str, ...]) -> str:
    items = "".join(f"<p><sup>{mark_of(sources, s)}</sup> {escape(s)}</p>" for s in sources)
    return f'<div class="sources">{items}</div>' if sources else ""
