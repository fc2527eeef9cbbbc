"""`rio fuse`: the command `fusiontrain fuse` under rasterio's own. The only click import."""

import sys

import click

from fusiontrain.cli import main


@click.command(
    "fuse",
    short_help="PAN and MS into one file (panprior).",
    context_settings={
        "ignore_unknown_options": True,
        "allow_interspersed_args": False,  # else click drops the "--" after --guide
        "help_option_names": [],
    },
    add_help_option=False,
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def fuse(arguments: tuple[str, ...]) -> None:
    """All that `fusiontrain fuse` takes; `rio fuse --help` lists it."""
    sys.exit(main(["fuse", *arguments]))
