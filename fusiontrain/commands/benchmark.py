"""Classical methods and networks on scenes of any format: scores, tables and a page."""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import Progress

from fusiontrain.classical import METHODS, PLAIN
from fusiontrain.errors import SceneError
from fusiontrain.evaluation.best_classical import best_classical_baseline, comparison_grid
from fusiontrain.evaluation.contenders import (
    Contender,
    NetworkContender,
    classical,
    load_networks,
    score,
)
from fusiontrain.evaluation.loaded_scenes import (
    LoadedScene,
    SceneLoader,
    by_sensor,
    mean_softness,
)
from fusiontrain.evaluation.protocols import Case, full, reduced
from fusiontrain.evaluation.published_scores import read_published
from fusiontrain.evaluation.results import BenchmarkResults, LeftOut
from fusiontrain.evaluation.score_image import BETTER_HIGH
from fusiontrain.evaluation.tables import print_grid, score_grid, sensor_tables
from fusiontrain.imaging.pan_batch import GridPhase
from fusiontrain.scenes.discovery import SceneEntry, find_scenes
from fusiontrain.scenes.geotiff import read_scene
from fusiontrain.training.one_shot import OneShot
from fusiontrain.training.recipes.one_shot import ONE_SHOT
from shards.errors import PanpriorError
from shards.sensors import find_sensor

SIDE = 256  # PAN pixels of a picture: the page holds one for every method, scene and protocol
LEAST_PICTURE, MOST_PICTURE = 16, 4096


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "scenes", type=Path, nargs="*", help="folders of GeoTIFFs, PanCollection .h5, .mat files"
    )
    parser.add_argument("--pan", type=Path, help="or a pair of GeoTIFFs of any names")
    parser.add_argument("--ms", type=Path, nargs="*", default=[], help="one file, or one a band")
    parser.add_argument("--out", type=Path, required=True, help="folder for tables and the page")
    parser.add_argument(
        "--weights", type=Path, nargs="*", default=[], help=".safetensors, default or small"
    )
    parser.add_argument(
        "--methods", default="all", help="all, plain, none, or names with commas between"
    )
    parser.add_argument(
        "--registered",
        action="store_true",
        help="also run the methods on a PAN moved to where the MS lies, as networks get it",
    )
    parser.add_argument("--protocol", choices=("reduced", "full", "both"), default="both")
    parser.add_argument(
        "--convention", choices=("scene", "aligned", "toolbox"), default="scene", help="of phase"
    )
    parser.add_argument("--sensor", help="a known sensor or a .toml; default: as the files say")
    parser.add_argument(
        "--published", type=Path, help="CSV of others' figures, with a column `source`"
    )
    parser.add_argument(
        "--one-shot",
        choices=tuple(ONE_SHOT),
        nargs="+",
        default=[],
        help="also tune the network on one other scene of each scene's sensor",
    )
    parser.add_argument("--tune-steps", type=int, default=ONE_SHOT["full"]().max_steps)
    parser.add_argument("--picture-side", type=int, default=SIDE, help="PAN pixels")


def run(args: argparse.Namespace) -> int:
    _check_options(args)
    classical_contenders = _classical(args.methods, registered=args.registered)
    networks = list(load_networks(args.weights))
    if args.one_shot and not networks:
        raise SceneError("--one-shot tunes a network: give --weights too")
    if not (classical_contenders or networks):
        raise SceneError("nothing to score: give --weights, or --methods other than none")
    published = [] if args.published is None else read_published(args.published)
    entries = _entries(args.scenes, args.pan, args.ms, args.sensor)
    args.out.mkdir(parents=True, exist_ok=True)  # early, so that a bad path fails fast
    results = BenchmarkResults(folder=args.out, title="panprior: benchmark", side=args.picture_side)
    results.facts["versions"] = f"panprior {version('panprior')}, torch {torch.__version__}"
    protocols = ("reduced", "full") if args.protocol == "both" else (args.protocol,)
    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("reading scenes", total=len(entries))
        scenes = []
        for loaded in _load(entries, results):
            if loaded is not None:
                bar.console.print(loaded.summary, highlight=False)
                scenes.append(loaded)
            bar.advance(task)
        contenders = [*classical_contenders, *_with_one_shot(networks, args, scenes, results)]
        softness = mean_softness(scenes)
        task = bar.add_task("scoring", total=len(scenes) * len(protocols) * len(contenders))
        for loaded in scenes:
            for case in _cases(loaded, protocols, _phase(args.convention), softness, results):
                bar.update(task, description=f"{case.name}, {case.protocol}")
                _score(case, contenders, results, lambda: bar.advance(task))
                results.write_results()
    if not results.views:
        raise SceneError("no scene could be scored: " + results.left_out[0].reason)
    results.publish(published)
    _print(results, results.write())
    return 0


def _print(results: BenchmarkResults, paths: Sequence[Path]) -> None:
    console = Console()
    for table in sensor_tables(results.rows, better_high=BETTER_HIGH):
        print_grid(score_grid(table), console)
    if baseline := best_classical_baseline(results.rows):
        print_grid(comparison_grid(baseline), console)
    print()
    for one in results.left_out:
        print(f"fusiontrain: left out {one.scene}, {one.protocol}: {one.reason}")
    print(f"fusiontrain: wrote {', '.join(map(str, paths))}")


def _check_options(args: argparse.Namespace) -> None:
    if not LEAST_PICTURE <= args.picture_side <= MOST_PICTURE:
        raise SceneError(
            f"--picture-side lies in {LEAST_PICTURE}..{MOST_PICTURE}; got {args.picture_side}"
        )
    if args.tune_steps < 1:
        raise SceneError(f"--tune-steps must be at least 1; got {args.tune_steps}")
    if len(set(args.one_shot)) < len(args.one_shot):
        raise SceneError("--one-shot names a mode twice")


def _score(
    case: Case,
    contenders: Sequence[Contender],
    results: BenchmarkResults,
    advance: Callable[[], None],
) -> None:
    """Every contender; one that fails on this case is left out of it, with its reason."""
    recorder = results.record(case)
    for contender in contenders:
        reason = "no other scene of its sensor to tune on"
        try:
            for result in score(case, [contender]):
                recorder.add(result)
                reason = ""
        except PanpriorError as error:
            reason = str(error)
        if reason:
            protocol = f"{case.protocol}, {contender.name}"
            results.left_out.append(LeftOut(scene=case.name, protocol=protocol, reason=reason))
        advance()
    if recorder.indices:
        recorder.close()


def _classical(methods: str, *, registered: bool) -> list[Contender]:
    names = {"all": list(METHODS), "plain": list(PLAIN), "none": []}.get(methods)
    if names is None:
        names = [name.strip() for name in methods.split(",") if name.strip()]
        if len(set(names)) < len(names):
            raise SceneError(f"--methods names one twice: {methods}")
    return classical(names) + (classical(names, registered=True) if registered else [])


def _with_one_shot(
    networks: Sequence[NetworkContender],
    args: argparse.Namespace,
    scenes: Sequence[LoadedScene],
    results: BenchmarkResults,
) -> Iterator[Contender]:
    """Each network as it is, then tuned in each mode; what they are is noted in the results."""
    for network in networks:
        results.facts[network.name] = network.description
        yield network
        for mode in args.one_shot:
            name = f"{network.name} one-shot {mode}"
            config = replace(ONE_SHOT[mode](), model=network.entry.name, max_steps=args.tune_steps)
            results.facts[name] = (
                f"the same, {mode}-tuned for {config.max_steps} steps on one other scene of the "
                "sensor, the next by name that shares no pixel"
            )
            tune = OneShot(
                network.net,
                network.entry,
                config=config,
                same_sensor_scenes=by_sensor(scenes),
                convention=_phase(args.convention),
            )
            yield Contender(name=name, fuse=tune)


def _entries(
    scenes: Sequence[Path], pan: Path | None, ms: Sequence[Path], sensor: str | None
) -> list[SceneEntry]:
    if (pan is None) != (not ms) or not (scenes or ms):
        raise SceneError("give scenes, or --pan and --ms together, or both")
    found = find_scenes(scenes, sensor=sensor) if scenes else []
    if pan is not None:
        row = None if sensor is None else find_sensor(sensor)
        load = partial(read_scene, pan, ms, name=ms[0].stem, sensor=row)
        if any(entry.name == ms[0].stem for entry in found):
            raise SceneError(f"two scenes are named {ms[0].stem}; score the pair by itself")
        found.append(SceneEntry(name=ms[0].stem, load=load, pan=pan, ms=tuple(ms)))
    return found


def _load(entries: Sequence[SceneEntry], results: BenchmarkResults) -> Iterator[LoadedScene | None]:
    """Each scene; None for one that cannot be read, which is left out with its reason."""
    loader = SceneLoader()
    for entry in entries:
        try:
            yield loader.load(entry)
        except SceneError as error:
            left_out = LeftOut(scene=entry.name, protocol="any", reason=str(error))
            results.left_out.append(left_out)
            yield None


def _phase(convention: str) -> GridPhase | None:
    if convention == "toolbox":
        return "toolbox"
    return "aligned" if convention == "aligned" else None


def _cases(
    loaded: LoadedScene,
    protocols: Sequence[str],
    convention: GridPhase | None,
    softness: dict[str, float],
    results: BenchmarkResults,
) -> Iterator[Case]:
    """The scene under each protocol that it is fit for; the others are left out, with a reason."""
    scene = loaded.entry.load()
    for protocol in protocols:
        try:
            if protocol == "full":
                yield full(scene, convention=convention, pair=loaded.pair)
            else:
                # A simulated pair does not show its sensor's softness; the sensor's others do.
                mean = softness.get(scene.sensor.name) if loaded.simulated else None
                yield reduced(scene, softness=mean, convention=convention, pair=loaded.pair)
        except SceneError as error:
            left_out = LeftOut(scene=scene.name, protocol=protocol, reason=str(error))
            results.left_out.append(left_out)
