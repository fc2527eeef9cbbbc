"""simgen verify: check every shard and sample of a build against its manifest."""

from argparse import Namespace
from pathlib import Path

from shards.command_line import PlainFlags
from shards.console import print_result
from simgen.building.verify import verify
from simgen.commands.summary import summary


def make_parser() -> PlainFlags:
    parser = PlainFlags(prog="simgen verify", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="a build")
    return parser


def run(args: Namespace) -> int:
    manifest = verify(args.folder)
    print_result(f"simgen: {summary(manifest)} in {args.folder}: all as the manifest lists")
    return 0
