"""simgen realism: statistics of simulated samples beside those of real scenes."""

import logging
import sys
from argparse import Namespace
from pathlib import Path

from shards.atomic_write import check_folder
from shards.command_line import PlainFlags
from shards.console import print_result

logger = logging.getLogger(__name__)


def make_parser() -> PlainFlags:
    parser = PlainFlags(prog="simgen realism", description=__doc__)
    parser.add_argument(
        "shards", nargs="+", metavar="SHARDS", help="builds to rank: FOLDER or NAME=FOLDER"
    )
    parser.add_argument(
        "--against",
        type=Path,
        required=True,
        metavar="SCENES",
        help="folder of NAME_pan.tif, NAME_ms.tif",
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="the report (default: realism/ in the first build)"
    )
    parser.add_argument("--limit", type=int, metavar="N", help="at most so many samples of a build")
    return parser


def run(args: Namespace) -> int:
    from rich.console import Console

    from simgen.realism import rich_table, run_realism, write_report
    from simgen.realism.pairs import named_build

    out = args.out or named_build(args.shards[0])[1] / "realism"
    check_folder(out, ("realism.md", "realism.json", "realism.png"))
    comparison, left_out = run_realism(args.shards, args.against, limit=args.limit)
    files = write_report(comparison, left_out, out)
    for scene in left_out:
        logger.info("left out %s: %s", scene.source, scene.reason)
    Console(width=None if sys.stdout.isatty() else 200).print(rich_table(comparison))
    print_result(
        f"simgen: wrote {len(files)} files into {out}: realism.md, realism.json, realism.png"
    )
    return 0
