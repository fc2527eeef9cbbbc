"""Rows of indices to tables: HTML, Markdown, LaTeX, CSV and text. Pure."""

from fusiontrain.evaluation.tables.csv_rows import as_csv
from fusiontrain.evaluation.tables.grid import Column, Grid, GridCell, GridRow, score_grid
from fusiontrain.evaluation.tables.html import all_as_html, as_html
from fusiontrain.evaluation.tables.latex import as_latex
from fusiontrain.evaluation.tables.markdown import as_markdown, pipe_table
from fusiontrain.evaluation.tables.means import (
    DASH,
    PROTOCOLS,
    Cell,
    Direction,
    Directions,
    Line,
    Row,
    Table,
    kind_of,
    scene_tables,
    sensor_tables,
)
from fusiontrain.evaluation.tables.terminal import as_rich, as_text, print_grid

__all__ = [
    "DASH",
    "PROTOCOLS",
    "Cell",
    "Column",
    "Direction",
    "Directions",
    "Grid",
    "GridCell",
    "GridRow",
    "Line",
    "Row",
    "Table",
    "all_as_html",
    "as_csv",
    "as_html",
    "as_latex",
    "as_markdown",
    "as_rich",
    "as_text",
    "kind_of",
    "pipe_table",
    "print_grid",
    "scene_tables",
    "score_grid",
    "sensor_tables",
]
