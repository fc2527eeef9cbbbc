"""simgen merge: write the manifest of what the tasks of an array built."""

from argparse import Namespace
from pathlib import Path

from shards.command_line import PlainFlags
from shards.console import print_result
from simgen.building.merge import merge
from simgen.commands.summary import summary


def make_parser() -> PlainFlags:
    parser = PlainFlags(prog="simgen merge", description=__doc__)
    parser.add_argument("out", type=Path, metavar="OUT", help="folder of the whole build")
    parser.add_argument(
        "parts",
        type=Path,
        nargs="*",
        metavar="PART",
        help="folders or part files (default: those in OUT)",
    )
    return parser


def run(args: Namespace) -> int:
    manifest = merge(args.out, args.parts)
    print_result(f"simgen: merged {summary(manifest)} in {args.out}")
    return 0
