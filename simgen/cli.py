"""Photographs in, shards out: build, verify, look."""

import argparse
import sys
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from shards.errors import PanpriorError
from shards.manifest import Manifest
from simgen.build import Progress, run_build
from simgen.config import Build
from simgen.look import contact_sheet
from simgen.recipes import RECIPES, find_recipe
from simgen.sources import SOURCES
from simgen.verify import verify


def main(argv: list[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    try:
        return int(args.run(args))
    except PanpriorError as error:
        print(f"simgen: {error}", file=sys.stderr)
        return 2
    except OSError as error:  # the disk's or the permissions' word, not a bug
        print(f"simgen: {error.filename or 'disk'}: {error.strerror or error}", file=sys.stderr)
        return 2
    except (ModuleNotFoundError, PackageNotFoundError) as error:
        print(
            f"simgen: {error.name} is not installed\n  do: pip install 'panprior[simgen]'",
            file=sys.stderr,
        )
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="simgen", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    build = commands.add_parser("build", help="make shards; run again to resume")
    build.set_defaults(run=_build)
    build.add_argument("--dataset", choices=sorted(SOURCES), required=True)
    build.add_argument("--source", type=Path, help="see docs/SOURCES.md (demo: held-out)")
    build.add_argument("--split", help="imagenet: train (the default), validation or test")
    build.add_argument(
        "--filter", action="append", default=[], metavar="CONDITION", help="skyscript: 'gsd<=1'"
    )
    build.add_argument("--out", type=Path, required=True)
    build.add_argument("--recipe", choices=sorted(RECIPES), help="default: sensor; scene: wald")
    build.add_argument("--like-sensor", help="simulate this one sensor, for tests")
    build.add_argument("--bands", type=int, nargs="+", default=[4, 8], metavar="C")
    build.add_argument("--tile", type=int, help="PAN pixels a side; default: the recipe's")
    build.add_argument("--draws", type=int, default=1, help="samples an image")
    build.add_argument("--limit", type=int, help="at most so many samples")
    build.add_argument("--shard-size", type=int, default=128, help="samples a shard")
    build.add_argument("--seed", type=int, default=0)
    build.add_argument("--device", choices=["cpu", "gpu"], default="cpu")
    build.add_argument("--workers", type=int, default=1, help="processes")

    check = commands.add_parser("verify", help="check every shard against the manifest")
    check.set_defaults(run=_verify)
    check.add_argument("folder", type=Path)

    look = commands.add_parser("look", help="draw samples onto one PNG")
    look.set_defaults(run=_look)
    look.add_argument("folder", type=Path)
    look.add_argument("--out", type=Path, help="default: FOLDER/look.png")
    look.add_argument("--samples", type=int, default=12)
    return parser


def _build(args: argparse.Namespace) -> int:
    usual = "wald" if args.dataset == "scene" else "sensor"
    recipe = find_recipe(args.recipe or usual, like=args.like_sensor)
    build = Build(
        dataset=args.dataset,
        source=args.source,
        out=args.out,
        split=args.split,
        filters=tuple(args.filter),
        recipe=recipe if args.tile is None else replace(recipe, tile=args.tile),
        bands=tuple(args.bands),
        draws=args.draws,
        limit=args.limit,
        shard_size=args.shard_size,
        seed=args.seed,
        device=args.device,
    )
    columns = (
        TextColumn("simgen {task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("shards, {task.fields[samples]} samples, {task.fields[rejected]} rejected"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(args.dataset, total=None, samples=0, rejected=0)

        def report(p: Progress) -> None:
            bar.update(
                task,
                total=p.shards_total,
                completed=p.shards_done,
                samples=p.samples,
                rejected=p.rejected,
            )

        manifest = run_build(build, workers=max(1, args.workers), report=report)
    for rejected in manifest.rejected:
        print(f"simgen: rejected {rejected.source}: {rejected.reason}", file=sys.stderr)
    print(f"simgen: {_summary(manifest)} in {args.out}")
    return 0


def _verify(args: argparse.Namespace) -> int:
    manifest = verify(args.folder)
    print(f"simgen: {_summary(manifest)} in {args.folder}: all as the manifest lists")
    return 0


def _look(args: argparse.Namespace) -> int:
    out = args.out or args.folder / "look.png"
    contact_sheet(args.folder, out, count=args.samples)
    print(f"simgen: drew {out}")
    return 0


def _summary(manifest: Manifest) -> str:
    size = sum(row.bytes for row in manifest.shards) / 1e6
    return (
        f"{manifest.samples} samples in {len(manifest.shards)} shards "
        f"({size:.0f} MB, recipe {manifest.recipe}), {len(manifest.rejected)} rejected"
    )
