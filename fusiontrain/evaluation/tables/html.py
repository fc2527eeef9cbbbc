"""Grids as HTML, for a page that brings the style."""

from collections.abc import Sequence

from markupsafe import Markup

from fusiontrain.evaluation.tables.grid import ARROWS, MEANINGS, Grid, widened
from fusiontrain.evaluation.templates import render


def as_html(grid: Grid) -> Markup:
    """A <table> under its caption, and its sources."""
    return _rendered([grid], grid, stacked=False)


def all_as_html(grids: Sequence[Grid]) -> Markup:
    """Many grids as one <table>, a <tbody> each under its title; what one lacks is a dash."""
    grids = widened(grids)
    whole = Grid(
        title="every scene",
        label=grids[0].label,
        columns=grids[0].columns,
        rows=tuple(row for grid in grids for row in grid.rows),
        with_origin=grids[0].with_origin,
    )
    return _rendered(grids, whole, stacked=True)


def _rendered(grids: Sequence[Grid], whole: Grid, *, stacked: bool) -> Markup:
    return render(
        "tables/table.html",
        grids=grids,
        stacked=stacked,
        whole=whole,
        arrows=ARROWS,
        meanings=MEANINGS,
    )
