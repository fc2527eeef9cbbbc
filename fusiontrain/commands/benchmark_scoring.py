"""Scenes of a benchmark, read and scored, with a bar on the terminal."""

from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import replace

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from fusiontrain.evaluation.benchmark import cases_of, load_scenes, score_case
from fusiontrain.evaluation.contenders import Contender, NetworkContender
from fusiontrain.evaluation.loaded_scenes import LoadedScene, by_sensor, mean_softness
from fusiontrain.evaluation.results import BenchmarkResults
from fusiontrain.imaging.pan_batch import GridPhase
from fusiontrain.scenes.discovery import SceneEntry
from fusiontrain.training.one_shot import OneShot
from fusiontrain.training.recipes.one_shot import ONE_SHOT
from shards.console import printable


def score_scenes(
    args: Namespace,
    entries: Sequence[SceneEntry],
    classical: Sequence[Contender],
    networks: Sequence[NetworkContender],
    results: BenchmarkResults,
) -> None:
    """Every contender on every scene; results.json is written after each scene and protocol."""
    protocols = ("reduced", "full") if args.protocol == "both" else (args.protocol,)
    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("reading scenes", total=len(entries))
        scenes = []
        for loaded in load_scenes(entries, results):
            if loaded is not None:
                bar.console.print(printable(loaded.summary), highlight=False, markup=False)
                scenes.append(loaded)
            bar.advance(task)
        contenders = [*classical, *_with_one_shot(networks, args, scenes, results)]
        softness = mean_softness(scenes)
        task = bar.add_task("scoring", total=len(scenes) * len(protocols) * len(contenders))
        phase = _phase(args.convention)
        for loaded in scenes:
            for case in cases_of(loaded, protocols, phase, softness, results, args.frame):
                bar.update(task, description=escape(printable(f"{case.name}, {case.protocol}")))
                for _ in score_case(case, contenders, results):
                    bar.advance(task)
                results.write_results()


def _with_one_shot(
    networks: Sequence[NetworkContender],
    args: Namespace,
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


def _phase(convention: str) -> GridPhase | None:
    if convention == "toolbox":
        return "toolbox"
    return "aligned" if convention == "aligned" else None
