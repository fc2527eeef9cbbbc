"""Weights of a run as a package: one .safetensors that `fuse` reads, and a model card."""

import re
from argparse import Namespace
from pathlib import Path

from fusiontrain.errors import CheckpointError
from shards.atomic_write import check_folder
from shards.bounded_reading import read_bounded
from shards.command_line import PlainFlags
from shards.console import print_result


def make_parser() -> PlainFlags:
    parser = PlainFlags(prog="fusiontrain publish", description=__doc__)
    parser.add_argument(
        "run_folder", type=Path, metavar="RUN", help="folder of pretrain or finetune"
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="a new folder")
    parser.add_argument(
        "--best", action="store_true", help="the best weights by validation, not the last"
    )
    parser.add_argument(
        "--license",
        default="",
        metavar="NAME",
        help="the weights' licence, as the hub names it: mit",
    )
    parser.add_argument(
        "--results",
        type=Path,
        metavar="FILE",
        help="results.json of a benchmark of these weights, for the card",
    )
    parser.add_argument("--about", type=Path, metavar="FILE", help="Markdown to end the card with")
    return parser


def run(args: Namespace) -> int:
    from fusiontrain.evaluation.model_card import CARD, WEIGHTS, on_scenes, write_package
    from fusiontrain.evaluation.results import read_rows
    from fusiontrain.models.checkpoints import load_checkpoint

    if not re.fullmatch(r"[a-z0-9.+-]*", args.license):
        raise CheckpointError(f"`license` is a word like mit or cc-by-4.0; got {args.license!r}")
    check_folder(args.out)
    source = args.run_folder / ("best.safetensors" if args.best else WEIGHTS)
    if args.best and not source.is_file():
        raise CheckpointError(
            f"no {source.name} in {args.run_folder}: the run had nothing to validate on\n"
            "  do: leave out `best`, or train with --validate"
        )
    net, info = load_checkpoint(source)
    if args.out.is_dir() and any(args.out.iterdir()):
        raise CheckpointError(f"{args.out} is not empty; give a new folder")
    sections = [] if args.results is None else [on_scenes(read_rows(args.results))]
    if args.about is not None:
        try:
            sections.append(read_bounded(args.about).decode())
        except (OSError, ValueError) as error:
            raise CheckpointError(f"cannot read {args.about}: {error}") from error
    write_package(args.out, net, info, args.license, *sections)
    print_result(f"fusiontrain: wrote {args.out / WEIGHTS} and {args.out / CARD}")
    return 0
