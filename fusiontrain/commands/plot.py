"""Draw loss, validation and throughput of one run or several into one picture.

The loss is smoothed, and in a pale line that of each step; a star marks the best validation.
"""

from argparse import Namespace
from pathlib import Path

from fusiontrain.errors import TrainingError
from shards.atomic_write import check_place, check_replaceable
from shards.command_line import PlainFlags
from shards.console import print_result

SUFFIXES = (".png", ".pdf", ".svg")


def make_parser() -> PlainFlags:
    parser = PlainFlags(prog="fusiontrain plot", description=__doc__)
    parser.add_argument(
        "runs", type=Path, nargs="+", metavar="RUN", help="folder of pretrain or finetune"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE.png",
        help="the picture, also .pdf or .svg (default: RUN/plot.png; of several runs plot.png)",
    )
    return parser


def run(args: Namespace) -> int:
    out = args.out or (args.runs[0] if len(args.runs) == 1 else Path()) / "plot.png"
    check_picture(out)
    if args.out is not None:
        check_place(out)
    from fusiontrain.training.run_plot import plot_runs  # matplotlib: not before the flags
    from fusiontrain.training.run_record import read_runs

    plot_runs(read_runs(args.runs), out)
    print_result(f"fusiontrain: drew {out}")
    return 0


def check_picture(path: Path) -> None:
    """Raises: TrainingError for another suffix; OutputError if it may not be replaced."""
    if path.suffix.lower() not in SUFFIXES:
        raise TrainingError(f"`out` ends in {', '.join(SUFFIXES)}; got {path}")
    check_replaceable(path)
