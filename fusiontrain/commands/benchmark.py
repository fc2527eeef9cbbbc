"""Score classical methods and networks on scenes of any format: tables and a page."""

from argparse import Namespace
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from fusiontrain.commands.choices import SHIPPED_WEIGHTS, nodata_value
from fusiontrain.errors import SceneError
from fusiontrain.training.recipes.one_shot import ONE_SHOT
from shards.atomic_write import check_folder
from shards.command_line import PlainFlags, with_flags
from shards.console import print_error, print_result
from shards.signals import Stopped, stoppable
from shards.waiting_threads import let_threads_sleep

if TYPE_CHECKING:
    from fusiontrain.evaluation.contenders import NetworkContender
    from fusiontrain.evaluation.results import BenchmarkResults

SIDE = 256  # PAN pixels of a picture: the page holds one for every method, scene and protocol
LEAST_PICTURE, MOST_PICTURE = 16, 4096


def make_parser() -> PlainFlags:
    parser = PlainFlags(prog="fusiontrain benchmark", description=__doc__)
    _add_inputs(parser)
    _add_networks(parser)
    _add_scoring(parser)
    return parser


def _add_inputs(parser: PlainFlags) -> None:
    parser.add_argument(
        "scenes", type=Path, nargs="*", help="folders of GeoTIFFs, PanCollection .h5, .mat files"
    )
    parser.add_argument(
        "--pan", metavar="FILE", help="PAN of a pair of any names; a file or what GDAL reads"
    )
    parser.add_argument(
        "--ms",
        nargs="*",
        default=[],
        metavar="FILE",
        help="MS of the pair: one file, or one a band",
    )
    parser.add_argument(
        "--nodata",
        type=nodata_value,
        metavar="X",
        help="value that marks missing pixels of GeoTIFFs (none: no value does)",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for tables and the page"
    )


def _add_scoring(parser: PlainFlags) -> None:
    parser.add_argument(
        "--methods",
        nargs="+",
        default=["all"],
        metavar="NAME",
        help="classical methods: all, plain, none, or names with blanks or commas between",
    )
    parser.add_argument(
        "--registered",
        action="store_true",
        help="also run the methods on a PAN registered to the MS, as networks get it",
    )
    parser.add_argument(
        "--protocol",
        choices=("reduced", "full", "both", "known"),
        default="both",
        help="protocols to run; known: scenes that bring the ground as truth (simgen known)",
    )
    parser.add_argument(
        "--frame",
        choices=("pan", "ms"),
        default="pan",
        help="at full resolution: pan, the MS is moved to the PAN for every method and index; ms, "
        "the pair as it came",
    )
    parser.add_argument(
        "--convention",
        choices=("scene", "aligned", "toolbox"),
        default="scene",
        help="grid phase of PAN and MS",
    )
    parser.add_argument(
        "--sensor",
        metavar="NAME|FILE.toml",
        help="sensor of all scenes (default: as the files say)",
    )
    parser.add_argument(
        "--published",
        type=Path,
        metavar="FILE",
        help="CSV of published figures, with a column `source`",
    )
    parser.add_argument(
        "--picture-side", type=int, default=SIDE, metavar="N", help="side of pictures, PAN pixels"
    )


def _add_networks(parser: PlainFlags) -> None:
    parser.add_argument(
        "--weights",
        type=Path,
        nargs="*",
        default=[],
        metavar="PATH",
        help=f"networks: {', '.join(SHIPPED_WEIGHTS)} or .safetensors files",
    )
    parser.add_argument(
        "--model", metavar="MODULE:CLASS", help="your own network, which weights may be of"
    )
    parser.add_argument(
        "--quality",
        choices=("normal", "best"),
        default="normal",
        help="best: networks fuse with the mean of eight flips, in eight times the time",
    )
    parser.add_argument(
        "--one-shot",
        choices=tuple(ONE_SHOT),
        nargs="+",
        default=[],
        help="also tune the networks on one other scene of each scene's sensor",
    )
    parser.add_argument(
        "--tune-steps",
        type=int,
        default=ONE_SHOT["full"]().max_steps,
        metavar="N",
        help="steps of --one-shot",
    )


def run(args: Namespace) -> int:
    let_threads_sleep()
    _check_options(args)
    # Here, not above: torch and rasterio only after the flags are right.
    import torch

    from fusiontrain.commands.benchmark_scoring import score_scenes
    from fusiontrain.evaluation.benchmark import (
        classical_contenders,
        full_caption,
        scene_entries,
    )
    from fusiontrain.evaluation.published_scores import read_published
    from fusiontrain.evaluation.results import FILES, BenchmarkResults

    check_folder(args.out, FILES)
    methods, more = _methods_and_scenes(args.methods)
    classical = classical_contenders(methods, registered=args.registered)
    networks = _load_networks(args)
    if args.one_shot and not networks:
        raise SceneError("`one_shot` tunes a network: give `weights` too")
    if not (classical or networks):
        raise SceneError("nothing to score: give `weights`, or `methods` other than none")
    published = [] if args.published is None else read_published(args.published)
    entries = scene_entries([*args.scenes, *more], args.pan, args.ms, args.sensor, args.nodata)
    args.out.mkdir(parents=True, exist_ok=True)  # early, so that a bad path fails fast
    results = BenchmarkResults(folder=args.out, title="panprior: benchmark", side=args.picture_side)
    results.facts["versions"] = f"panprior {version('panprior')}, torch {torch.__version__}"
    results.captions["full"] = full_caption(args.frame, networks)
    try:
        with stoppable():
            score_scenes(args, entries, classical, networks, results)
    except Stopped as stop:
        kept = "nothing was written"
        if results.rows:
            results.write_results()
            kept = f"the scores so far are in {args.out / FILES[0]}"
        print_error("fusiontrain", f"stopped by {stop.name}; {kept}")
        return stop.exit_code
    if not results.views:
        raise SceneError("no scene could be scored: " + results.left_out[0].reason)
    results.publish(published)
    _print(results, results.write())
    return 0


def _load_networks(args: Namespace) -> "list[NetworkContender]":
    from fusiontrain.evaluation.contenders import load_networks
    from fusiontrain.models.registry import find_asked

    if args.model is not None:
        find_asked(args.model)
    return list(load_networks(args.weights, quality=args.quality))


def _methods_and_scenes(words: Sequence[str]) -> tuple[str, list[Path]]:
    """What --methods took: names with commas between, and the scenes that stood after them."""
    from fusiontrain.classical import find_method_name

    scenes = [word for word in words[1:] if find_method_name(word) is None and Path(word).exists()]
    return ",".join(word for word in words if word not in scenes), [Path(w) for w in scenes]


def _check_options(args: Namespace) -> None:
    if not LEAST_PICTURE <= args.picture_side <= MOST_PICTURE:
        raise SceneError(
            f"`picture_side` lies in {LEAST_PICTURE}..{MOST_PICTURE}; got {args.picture_side}"
        )
    if args.tune_steps < 1:
        raise SceneError(f"`tune_steps` must be at least 1; got {args.tune_steps}")
    if len(set(args.one_shot)) < len(args.one_shot):
        raise SceneError("`one_shot` names a mode twice")
    if args.protocol == "known" and args.one_shot:
        raise SceneError("`one_shot` tunes on other scenes of a sensor; known truth has one each")
    if args.protocol == "known" and args.convention == "toolbox":
        raise SceneError("known truth lies on PAN's grid, aligned; got `convention=toolbox`")


def _print(results: "BenchmarkResults", paths: Sequence[Path]) -> None:
    from rich.console import Console

    from fusiontrain.evaluation.best_classical import best_classical_baseline, comparison_grid
    from fusiontrain.evaluation.score_image import BETTER
    from fusiontrain.evaluation.tables import print_grid, score_grid, sensor_tables

    console = Console()
    for table in sensor_tables(results.rows, better=BETTER):
        print_grid(score_grid(table, note=results.captions.get(table.protocol, "")), console)
    if baseline := best_classical_baseline(results.rows):
        print_grid(comparison_grid(baseline), console)
    print_result("")
    flags = make_parser().flags
    for left_out in results.left_out:
        reason = with_flags(left_out.reason, flags)
        print_result(f"fusiontrain: left out {left_out.scene}, {left_out.protocol}: {reason}")
    print_result(f"fusiontrain: wrote {', '.join(map(str, paths))}")
