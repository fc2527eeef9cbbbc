"""Classical methods and networks on scenes of any format: numbers, tables and a page."""

import argparse
import csv
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
from fusiontrain.evaluation.best_classical import as_text as bar_as_text
from fusiontrain.evaluation.best_classical import best_classical_baseline
from fusiontrain.evaluation.contenders import load_networks
from fusiontrain.evaluation.protocols import (
    BETTER_HIGH,
    Case,
    Contender,
    classical,
    full,
    judge,
    mean_softness,
    reduced,
)
from fusiontrain.evaluation.results import BenchmarkResults, LeftOut
from fusiontrain.evaluation.tables import PROTOCOLS, Row, as_text, sensor_tables
from fusiontrain.fusion.sensor_model import measure_softness
from fusiontrain.imaging.pan_batch import GridPhase
from fusiontrain.scenes.discovery import SceneEntry, find_scenes
from fusiontrain.scenes.geotiff import read_scene
from fusiontrain.training.one_shot import OneShot
from fusiontrain.training.recipes.one_shot import ONE_SHOT
from shards.errors import PanpriorError
from shards.sensors import GENERIC, Sensor, find_sensor

SIDE = 256  # PAN pixels of a picture: the page holds one for every method, scene and protocol
LEAST_PICTURE, MOST_PICTURE = 16, 4096
_ABOUT_A_ROW = ("scene", "sensor", "protocol", "method", "source")


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
    same_sensor_scenes: dict[str, list[SceneEntry]] = {}  # filled while looking
    contenders, facts = _contenders(args, same_sensor_scenes)
    published = [] if args.published is None else read_published(args.published)
    entries = _entries(args.scenes, args.pan, args.ms, args.sensor)
    args.out.mkdir(parents=True, exist_ok=True)  # before the work, lest it be for nothing
    board = BenchmarkResults(
        folder=args.out, title="panprior: benchmark", facts=facts, side=args.picture_side
    )
    protocols = ("reduced", "full") if args.protocol == "both" else (args.protocol,)
    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("looking", total=len(entries))
        seen: list[tuple[Sensor, float]] = []
        for entry in entries:
            looked = _look(entry, board, bar.console)
            # Unknown sensors are not one sensor.
            if looked is not None and looked[0] is not GENERIC:
                same_sensor_scenes.setdefault(looked[0].name, []).append(entry)
                seen += [(looked[0], looked[1])] if looked[1] is not None else []
            bar.advance(task)
        softness = mean_softness(seen)
        task = bar.add_task("judging", total=len(entries) * len(protocols) * len(contenders))
        for entry in entries:
            for case in _cases(entry, protocols, args.convention, softness, board):
                bar.update(task, description=f"{case.name}, {case.protocol}")
                _judge(case, contenders, board, lambda: bar.advance(task))
                board.write_results()
    if not board.views:
        raise SceneError("no scene could be judged: " + board.left_out[0].reason)
    board.publish(published)
    paths = board.write()
    for table in sensor_tables(board.rows, better_high=BETTER_HIGH):
        print(f"\n{as_text(table)}")
    print(f"\n{bar_as_text(best_classical_baseline(board.rows))}".rstrip())
    for one in board.left_out:
        print(f"fusiontrain: left out {one.scene}, {one.protocol}: {one.reason}")
    print(f"fusiontrain: wrote {', '.join(map(str, paths))}")
    return 0


def read_published(path: Path) -> list[Row]:
    """Rows of a CSV: scene, sensor, protocol, method, source, and a column for each index.

    Raises: SceneError naming the line and what is wrong with it.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = list(csv.DictReader(file, restkey=""))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SceneError(f"cannot read {path}: {error}") from error
    rows = []
    for number, line in enumerate(lines, 2):
        if missing := [name for name in _ABOUT_A_ROW if not line.get(name)]:
            raise SceneError(f"{path}, line {number}: expected a value for {', '.join(missing)}")
        if "" in line:
            raise SceneError(f"{path}, line {number}: more values than the heading has columns")
        if line["protocol"] not in PROTOCOLS:
            raise SceneError(
                f"{path}, line {number}: protocol is {' or '.join(PROTOCOLS)}; "
                f"got {line['protocol']!r}"
            )
        indices = {}
        for name, text in line.items():
            if name not in _ABOUT_A_ROW and text:
                try:
                    indices[name] = float(text)
                except (TypeError, ValueError):
                    raise SceneError(
                        f"{path}, line {number}: {name} must be a number; got {text!r}"
                    ) from None
        scene, sensor, protocol, method, source = (line[name] for name in _ABOUT_A_ROW)
        rows.append(
            Row(
                scene=scene,
                sensor=sensor,
                protocol=protocol,
                method=method,
                indices=indices,
                origin=source,
            )
        )
    named = [(row.scene, row.protocol, row.method) for row in rows]
    if twice := {name for name in named if named.count(name) > 1}:
        raise SceneError(f"{path}: more than one row for {', '.join(min(twice))}")
    return rows


def _check_options(args: argparse.Namespace) -> None:
    if not LEAST_PICTURE <= args.picture_side <= MOST_PICTURE:
        raise SceneError(
            f"--picture-side lies in {LEAST_PICTURE}..{MOST_PICTURE}; got {args.picture_side}"
        )
    if args.tune_steps < 1:
        raise SceneError(f"--tune-steps must be at least 1; got {args.tune_steps}")
    if len(set(args.one_shot)) < len(args.one_shot):
        raise SceneError("--one-shot names a mode twice")


def _judge(
    case: Case,
    contenders: Sequence[Contender],
    board: BenchmarkResults,
    advance: Callable[[], None],
) -> None:
    """Every contender; one that fails on this case is left out of it, with its reason."""
    sheet = board.open(case)
    for contender in contenders:
        reason = "no other scene of its sensor can teach"
        try:
            for result in judge(case, [contender]):
                sheet.add(result)
                reason = ""
        except PanpriorError as error:
            reason = str(error)
        if reason:
            named = f"{case.protocol}, {contender.name}"
            board.left_out.append(LeftOut(scene=case.name, protocol=named, reason=reason))
        advance()
    if sheet.indices:
        sheet.close()


def _contenders(
    args: argparse.Namespace, same_sensor_scenes: dict[str, list[SceneEntry]]
) -> tuple[list[Contender], dict[str, str]]:
    names = {"all": list(METHODS), "plain": list(PLAIN), "none": []}.get(args.methods)
    if names is None:
        names = [name.strip() for name in args.methods.split(",") if name.strip()]
        if len(set(names)) < len(names):
            raise SceneError(f"--methods names one twice: {args.methods}")
    contenders = classical(names)
    if args.registered:
        contenders += classical(names, registered=True)
    facts = {"versions": f"panprior {version('panprior')}, torch {torch.__version__}"}
    if args.one_shot and not args.weights:
        raise SceneError("--one-shot tunes a network: give --weights too")
    for one in load_networks(args.weights):
        contenders.append(one.contender)
        facts[one.name] = one.fact
        for mode in args.one_shot:
            tuned = f"{one.name} one-shot {mode}"
            phase = _phase(args.convention)
            config = replace(ONE_SHOT[mode](), model=one.entry.name, max_steps=args.tune_steps)
            shot = OneShot(
                one.net,
                one.entry,
                config=config,
                same_sensor_scenes=same_sensor_scenes,
                convention=phase,
            )
            contenders.append(Contender(name=tuned, fuse=shot))
            facts[tuned] = (
                f"the same, {mode}-tuned for {config.max_steps} steps on one other scene of the "
                "sensor, the next by name that shares no pixel"
            )
    if not contenders:
        raise SceneError("nothing to judge: give --weights, or --methods other than none")
    return contenders, facts


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
            raise SceneError(f"two scenes are named {ms[0].stem}; judge the pair by itself")
        found.append(SceneEntry(name=ms[0].stem, load=load, pan=pan, ms=tuple(ms)))
    return found


def _look(
    entry: SceneEntry, board: BenchmarkResults, console: Console
) -> tuple[Sensor, float | None] | None:
    """What the scene is, said aloud; its sensor, and its softness if it is a real pair."""
    try:
        scene = entry.load()
    except SceneError as error:
        board.left_out.append(LeftOut(scene=entry.name, protocol="any", reason=str(error)))
        return None
    about = f"{scene.sensor.name}, {scene.bands} bands, ratio {scene.ratio}, {scene.bits} bits"
    measured = None
    if scene.gt is None:
        try:
            measured = measure_softness(scene)
            about += f", softness {measured:.2f}"
        except SceneError as error:
            about += f", softness unknown: {error}"
    console.print(f"{scene.name}: {about}", highlight=False)
    return scene.sensor, measured


def _phase(convention: str) -> GridPhase | None:
    if convention == "toolbox":
        return "toolbox"
    return "aligned" if convention == "aligned" else None


def _cases(
    entry: SceneEntry,
    protocols: Sequence[str],
    convention: str,
    softness: dict[str, float],
    board: BenchmarkResults,
) -> Iterator[Case]:
    """The scene under each protocol that can judge it; the others are left out, with a reason."""
    phase = _phase(convention)
    try:
        scene = entry.load()
    except SceneError:
        return  # already said
    for protocol in protocols:
        try:
            if protocol == "full":
                yield full(scene, convention=phase)
            else:
                told = softness.get(scene.sensor.name) if scene.gt is not None else None
                yield reduced(scene, softness=told, convention=phase)
        except SceneError as error:
            board.left_out.append(LeftOut(scene=scene.name, protocol=protocol, reason=str(error)))
