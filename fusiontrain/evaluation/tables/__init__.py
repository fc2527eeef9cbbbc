"""Rows of indices to tables: HTML, Markdown, LaTeX, CSV and plain text. Pure."""

from fusiontrain.evaluation.tables.html import all_as_html, as_html
from fusiontrain.evaluation.tables.means import (
    DASH,
    PROTOCOLS,
    Cell,
    Line,
    Row,
    Table,
    kind_of,
    scene_tables,
    sensor_tables,
)
from fusiontrain.evaluation.tables.text import as_csv, as_latex, as_markdown, as_text

__all__ = [
    "DASH",
    "PROTOCOLS",
    "Cell",
    "Line",
    "Row",
    "Table",
    "all_as_html",
    "as_csv",
    "as_html",
    "as_latex",
    "as_markdown",
    "as_text",
    "kind_of",
    "scene_tables",
    "sensor_tables",
]
