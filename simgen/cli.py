"""Photographs in, shards out: build, merge, verify, look; realism beside real scenes."""

import argparse
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

from shards.console import run_command, set_up_logging
from shards.errors import PanpriorError
from shards.manifest import Manifest
from shards.signals import Stopped, ignore_signals, stoppable
from simgen.building.array_task import find_share
from simgen.building.bad_image_budget import parse_budget
from simgen.building.build import Progress, run_build
from simgen.building.merge import merge
from simgen.building.progress import make_reporter
from simgen.building.verify import verify
from simgen.config import Build
from simgen.errors import ConfigError
from simgen.preview.contact_sheet import contact_sheet, draw_gallery
from simgen.recipes import RECIPES, find_recipe
from simgen.sources import SOURCES


def main(argv: list[str] | None = None) -> int:
    def command() -> int:
        args = _parser().parse_args(argv)
        return int(args.run(args))

    set_up_logging("simgen")
    return run_command("simgen", command, extras={"*": "simgen"})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="simgen", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    build = commands.add_parser("build", help="make shards; run again to resume")
    build.set_defaults(run=_build)
    build.add_argument("--dataset", choices=sorted(SOURCES))
    build.add_argument("--source", type=Path, help="see docs/guides/sources.md (demo: held-out)")
    build.add_argument("--split", help="imagenet: train (the default), validation or test")
    build.add_argument(
        "--filter", action="append", default=[], metavar="CONDITION", help="skyscript: 'gsd<=1'"
    )
    build.add_argument("--out", type=Path)
    build.add_argument("--recipe", choices=sorted(RECIPES), help="default: sensor; scene: wald")
    build.add_argument(
        "--like-sensor", metavar="NAME|FILE.toml", help="simulate this one sensor, for tests"
    )
    build.add_argument("--bands", type=int, nargs="+", default=[4, 8], metavar="C")
    build.add_argument("--tile", type=int, help="PAN pixels a side; default: the recipe's")
    build.add_argument("--draws", type=int, default=1, help="samples an image")
    build.add_argument("--limit", type=int, help="at most so many samples")
    build.add_argument("--shard-size", type=int, default=128, help="samples a shard")
    build.add_argument("--seed", type=int, default=0)
    build.add_argument("--device", choices=["cpu", "gpu"], default="cpu")
    build.add_argument(
        "--compress",
        choices=["blosc2"],
        default="",
        help="arrays in the tars; default: plain",
    )
    build.add_argument("--workers", type=int, default=1, help="processes")
    build.add_argument(
        "--max-bad", metavar="N|P%", help="stop once more images are unusable; default: never"
    )
    build.add_argument(
        "--log", choices=["bar", "json"], default="bar", help="json: a line an event"
    )
    build.add_argument("--quiet", action="store_true", help="say nothing but errors")
    build.add_argument(
        "--explain", action="store_true", help="print the recipe as the manifest has it, and stop"
    )
    build.add_argument("--task-index", type=int, metavar="I", help="default: from Slurm's array")
    build.add_argument("--task-count", type=int, metavar="N", help="default: from Slurm's array")

    union = commands.add_parser("merge", help="the manifest of what an array's tasks built")
    union.set_defaults(run=_merge)
    union.add_argument("out", type=Path)
    union.add_argument(
        "parts", type=Path, nargs="*", help="folders or part files; default: those in OUT"
    )

    check = commands.add_parser("verify", help="check every shard against the manifest")
    check.set_defaults(run=_verify)
    check.add_argument("folder", type=Path)

    look = commands.add_parser("look", help="draw samples onto one PNG")
    look.set_defaults(run=_look)
    look.add_argument("folder", type=Path, nargs="?", help="a build; not needed by --gallery")
    look.add_argument("--out", type=Path, help="default: FOLDER/look.png")
    look.add_argument("--samples", type=int, default=12)
    look.add_argument("--gallery", type=Path, help="draw every effect of a recipe into this folder")

    real = commands.add_parser("realism", help="how near samples are to real scenes")
    real.set_defaults(run=_realism)
    real.add_argument(
        "shards", nargs="+", metavar="SHARDS", help="builds to rank: FOLDER or NAME=FOLDER"
    )
    real.add_argument(
        "--against", type=Path, required=True, metavar="SCENES", help="NAME_pan.tif, NAME_ms.tif"
    )
    real.add_argument("--out", type=Path, help="default: realism/ in the first build")
    real.add_argument("--limit", type=int, help="at most so many samples of each build")
    return parser


def _build(args: argparse.Namespace) -> int:
    usual = "wald" if args.dataset == "scene" else "sensor"
    recipe = find_recipe(args.recipe or usual, like=args.like_sensor)
    if args.tile is not None:
        recipe = replace(recipe, tile=args.tile)
    if args.explain:
        data = {
            "recipe": recipe.name,
            "recipe_hash": recipe.digest,
            "recipe_data": recipe.as_data(),
        }
        print(json.dumps(data, indent=1))
        return 0
    if args.dataset is None or args.out is None:
        raise ConfigError("build needs --dataset and --out; see simgen build --help")
    if args.workers < 1:
        raise ConfigError(f"--workers must be at least 1; got {args.workers}")
    build = Build(
        dataset=args.dataset,
        source=args.source,
        out=args.out,
        split=args.split,
        filters=tuple(args.filter),
        recipe=recipe,
        bands=tuple(args.bands),
        draws=args.draws,
        limit=args.limit,
        shard_size=args.shard_size,
        seed=args.seed,
        device=args.device,
        compression=args.compress,
    )
    share = find_share(args.task_index, args.task_count, os.environ)
    budget = parse_budget(args.max_bad)
    task = "" if share.is_whole else f" (task {share.index} of {share.count})"
    with make_reporter("quiet" if args.quiet else args.log, args.dataset + task) as tell:
        seen = 0

        def report(progress: Progress) -> None:
            nonlocal seen
            seen = progress.images
            tell.progress(progress)

        try:
            with stoppable():
                manifest = run_build(
                    build,
                    workers=args.workers,
                    report=report,
                    share=share,
                    budget=budget,
                )
        except Stopped as stopped:
            ignore_signals()  # on our way out: a second one would only change the exit code
            tell.event("stopped", f"stopped by {stopped.name}", signal=stopped.name)
            print(
                f"simgen: stopped by {stopped.name}; finished shards are kept, and the same "
                "command makes the rest",
                file=sys.stderr,
            )
            return stopped.exit_code
        except PanpriorError as error:
            tell.event("error", str(error))
            raise
        tell.rejected(manifest.rejected)
        used = seen - len({rejected.source for rejected in manifest.rejected})
        tell.event(
            "done",
            f"{_summary(manifest)} in {args.out}{task}; "
            f"{seen} images read, {used} used; source: {manifest.licence}",
            samples=manifest.samples,
            shards=len(manifest.shards),
            images_seen=seen,
            images_used=used,
            images_rejected=len(manifest.rejected),
            licence=manifest.licence,
            manifest=manifest.digest if share.is_whole else None,
        )
    return 0


def _merge(args: argparse.Namespace) -> int:
    manifest = merge(args.out, args.parts)
    print(f"simgen: merged {_summary(manifest)} in {args.out}")
    return 0


def _verify(args: argparse.Namespace) -> int:
    manifest = verify(args.folder)
    print(f"simgen: {_summary(manifest)} in {args.folder}: all as the manifest lists")
    return 0


def _look(args: argparse.Namespace) -> int:
    if args.gallery is not None:
        print(f"simgen: drew {len(draw_gallery(args.gallery))} panels into {args.gallery}")
        return 0
    if args.folder is None:
        raise ConfigError("look needs the FOLDER of a build, or --gallery DIR")
    out = args.out or args.folder / "look.png"
    contact_sheet(args.folder, out, count=args.samples)
    print(f"simgen: drew {out}")
    return 0


def _realism(args: argparse.Namespace) -> int:
    from rich.console import Console

    from simgen.realism import rich_table, run_realism, write_report

    found, left_out, first = run_realism(args.shards, args.against, limit=args.limit)
    out = args.out or first / "realism"
    files = write_report(found, left_out, out)
    for one in left_out:
        print(f"simgen: left out {one.source}: {one.reason}", file=sys.stderr)
    Console(width=None if sys.stdout.isatty() else 200).print(rich_table(found))
    print(f"simgen: wrote {len(files)} files into {out}: realism.md, realism.json, realism.png")
    return 0


def _summary(manifest: Manifest) -> str:
    size = sum(row.bytes for row in manifest.shards) / 1e6
    return (
        f"{manifest.samples} samples in {len(manifest.shards)} shards "
        f"({size:.0f} MB, recipe {manifest.recipe}), {len(manifest.rejected)} rejected"
    )
