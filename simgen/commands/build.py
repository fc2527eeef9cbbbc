"""simgen build: make shards of photographs or scenes; run again to resume."""

import json
import os
import time
from argparse import Namespace
from dataclasses import replace
from functools import partial
from pathlib import Path

import jsonargparse

from shards.atomic_write import check_folder
from shards.command_line import ConfigFlags, add_fields, field_values, with_flags
from shards.console import print_error, print_result
from shards.errors import PanpriorError
from shards.signals import Stopped, ignore_signals, stoppable
from simgen.building.array_task import TaskShare, find_share
from simgen.building.bad_image_budget import parse_budget
from simgen.building.build import Progress, run_build
from simgen.building.progress import ProgressReporter, make_reporter
from simgen.commands.summary import summary
from simgen.config import Build, Recipe
from simgen.errors import ConfigError
from simgen.recipes import RECIPES, find_recipe
from simgen.recipes.wald import WALD
from simgen.sources import SOURCES

# Fields of Build whose flags are not called as they are, or are made of several.
_BY_HAND = ("dataset", "source", "out", "recipe", "filters", "compression")


class BuildParser(ConfigFlags, jsonargparse.ArgumentParser):  # type: ignore[misc]
    """An argparse parser that also reads its values from a YAML or TOML file."""


def make_parser() -> BuildParser:
    parser = BuildParser(prog="simgen build", description=__doc__)
    parser.parameter_flags = {
        "root": "--source", "filters": "--filter", "compression": "--compress"
    }  # fmt: skip
    parser.add_argument("--dataset", choices=sorted(SOURCES), help="kind of source")
    parser.add_argument(
        "--source", type=Path, metavar="PATH", help="images; see docs/guides/sources.md"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the shards")
    parser.add_argument(
        "--recipe",
        choices=sorted(RECIPES),
        help="named ranges of all effects (default: sensor; of scenes: wald)",
    )
    parser.add_argument(
        "--like-sensor", metavar="NAME|FILE.toml", help="simulate this one sensor, for tests"
    )
    parser.add_argument(
        "--tile", type=int, metavar="N", help="PAN pixels a side (default: the recipe's)"
    )
    parser.add_argument(
        "--filter",
        action="append",
        default=[],
        metavar="CONDITION",
        help="keep images of these metadata; skyscript: 'gsd<=1'",
    )
    add_fields(parser, Build, skip=_BY_HAND)
    parser.add_argument(
        "--compress",
        choices=["", "blosc2"],
        default="",
        metavar="blosc2",
        help="compress the arrays in the tars (default: plain)",
    )
    _add_running(parser)
    return parser


def _add_running(parser: BuildParser) -> None:
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes")
    parser.add_argument(
        "--max-bad", metavar="N|P%", help="stop once more images are unusable (default: never)"
    )
    parser.add_argument(
        "--log", choices=["bar", "json"], default="bar", help="json: one line an event"
    )
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")
    parser.add_argument(
        "--explain", action="store_true", help="print the recipe as the manifest has it, and stop"
    )
    parser.add_argument(
        "--task-index", type=int, metavar="I", help="of an array (default: from the array's own)"
    )
    parser.add_argument(
        "--task-count", type=int, metavar="N", help="of an array (default: from Slurm's)"
    )
    parser.add_argument(
        "--task-offset",
        type=int,
        default=0,
        metavar="K",
        help="added to the array's own number, which stays under Slurm's MaxArraySize",
    )
    parser.add_argument(
        "--start-spread",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="an array's tasks begin one after the other over so long: for one bucket",
    )


def run(args: Namespace) -> int:
    recipe = find_recipe(
        args.recipe or (WALD if args.dataset == "scene" else "sensor"), like=args.like_sensor
    )
    if args.tile is not None:
        recipe = replace(recipe, tile=args.tile)
    if args.explain:
        data = {
            "recipe": recipe.name,
            "recipe_hash": recipe.digest,
            "recipe_data": recipe.as_data(),
        }
        print_result(json.dumps(data, indent=1))
        return 0
    if args.dataset is None or args.out is None:
        raise ConfigError("build needs `dataset` and `out`; see simgen build --help")
    check_folder(args.out)
    if args.workers < 1:
        raise ConfigError(f"`workers` must be at least 1; got {args.workers}")
    build = _build_of(args, recipe)
    if not 0 <= args.start_spread < float("inf"):
        raise ConfigError(f"`start_spread` must be 0 or more seconds; got {args.start_spread}")
    share = find_share(args.task_index, args.task_count, os.environ, offset=args.task_offset)
    task = "" if share.is_whole else f" (task {share.index} of {share.count})"
    with make_reporter("quiet" if args.quiet else args.log, args.dataset + task) as reporter:
        return _run(args, build, share, task, reporter)


def _build_of(args: Namespace, recipe: Recipe) -> Build:
    by_hand = {
        "recipe": recipe,
        "filters": tuple(args.filter),
        "compression": args.compress or "",
    }
    return Build(**field_values(args, Build) | by_hand)


def _run(
    args: Namespace, build: Build, share: TaskShare, task: str, reporter: ProgressReporter
) -> int:
    last: list[Progress] = []

    def report(progress: Progress) -> None:
        last[:] = [progress]
        reporter.progress(progress)

    work = partial(run_build, build, workers=args.workers, share=share)
    try:
        with stoppable():
            time.sleep(args.start_spread * share.index / share.count)
            manifest = work(report=report, budget=parse_budget(args.max_bad))
    except Stopped as stopped:
        ignore_signals()  # on the way out a second one would only change the exit code
        reporter.event("stopped", f"stopped by {stopped.name}", signal=stopped.name)
        print_error(
            "simgen",
            f"stopped by {stopped.name}; finished shards are kept, and the same command makes "
            "the rest",
        )
        return stopped.exit_code
    except PanpriorError as error:
        reporter.event("error", with_flags(str(error), make_parser().flags))
        raise
    reporter.rejected(manifest.rejected)
    missing = sorted(set(build.bands) - {row.bands for row in manifest.shards})
    if missing and share.is_whole and args.dataset != "scene":
        reporter.event(
            "bands",
            f"no sample of {', '.join(map(str, missing))} bands: {manifest.samples} samples are "
            "too few for every count of --bands; give more images, or --draws N samples of each",
            missing=missing,
        )
    images = last[0].images if last else 0
    used = images - len({rejected.source for rejected in manifest.rejected})
    reporter.event(
        "done",
        f"{summary(manifest)} in {args.out}{task}; "
        f"{images} images read, {used} used; source: {manifest.licence}",
        samples=manifest.samples,
        shards=len(manifest.shards),
        images_seen=images,
        images_used=used,
        images_rejected=len(manifest.rejected),
        licence=manifest.licence,
        manifest=manifest.digest if share.is_whole else None,
    )
    return 0
