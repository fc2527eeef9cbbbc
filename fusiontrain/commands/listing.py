"""Tables of what there is: for a terminal, as plain text for a pipe, or as JSON."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from shards.command_line import PlainFlags
from shards.console import print_result


def listing_parser(name: str, description: str | None) -> PlainFlags:
    parser = PlainFlags(prog=f"fusiontrain {name}", description=description)
    parser.add_argument("--json", action="store_true", help="print JSON, with more facts")
    return parser


def print_listing(
    rows: Sequence[Mapping[str, str]], facts: Sequence[Mapping[str, Any]], *, as_json: bool
) -> None:
    """`rows`: the table, column -> text; `facts`: what --json prints of the same."""
    if as_json:
        print_result(json.dumps(list(facts), indent=1))
    elif sys.stdout.isatty():
        _print_rich(rows)
    else:
        from tabulate import tabulate

        table = tabulate(rows, headers="keys", tablefmt="plain", disable_numparse=True)
        print_result("\n".join(line.rstrip() for line in table.splitlines()))


def _print_rich(rows: Sequence[Mapping[str, str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_edge=False)
    for i, name in enumerate(rows[0] if rows else ()):
        table.add_column(Text(name, "bold"), no_wrap=i == 0)
    for row in rows:
        table.add_row(*(Text(text) for text in row.values()))
    Console().print(table)
