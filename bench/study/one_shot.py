"""A part of the study: tuning on one pair, and what is forgotten of other sensors.

Zero-shot, full tuning, freeze-tuning and training from scratch; scored on the other scenes of
the sensor, and on all scenes of other sensors.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import nn

from bench.study.baseline import read_baseline, relative_cells
from bench.study.runs import Figures, save
from bench.study.scoring import figures, read_cases, reduced_case, softness_of_sensors
from fusiontrain.errors import SceneError
from fusiontrain.evaluation.case import Case
from fusiontrain.evaluation.leakage import refuse_shared_pixels
from fusiontrain.models.checkpoints import CheckpointInfo, load_checkpoint
from fusiontrain.models.registry import build_model, find_model
from fusiontrain.scenes.discovery import SceneEntry, find_scenes
from fusiontrain.training.one_shot import tune
from fusiontrain.training.recipes.one_shot import ONE_SHOT
from shards.sensors import GENERIC

SCRATCH_RATE = 2e-3  # of a network that starts from nothing
MakeCase = Callable[[SceneEntry], Case]
HEAD = "sensor | tuned on | tuning | seconds | scenes | ERGAS | SAM | Q2n | elsewhere ERGAS"


def one_shot(args: argparse.Namespace) -> str:
    """Every sensor that has other scenes; then the table."""
    folder = args.work / "one-shot"
    folder.mkdir(parents=True, exist_ok=True)
    net, info = load_checkpoint(args.weights)
    baseline = read_baseline(args, [] if args.table else read_cases(args.scenes))
    entries = [] if args.table else find_scenes(args.scenes)
    make_case = partial(reduced_case, softness=softness_of_sensors(entries))
    by_sensor = _by_sensor(entries, make_case)
    for sensor, scenes in by_sensor.items():
        path = folder / f"{sensor}.json"
        if path.exists() or (args.only and sensor not in args.only):
            continue
        others = [e for name, group in by_sensor.items() if name != sensor for e in group]
        training_scene, pupils = _split(scenes, make_case)
        if not pupils:
            continue
        networks = _tuned(net, info, make_case(scenes[0]), args.steps)
        elsewhere = [make_case(entry) for entry in others]
        runs = {
            name: {
                "seconds": seconds,
                "own": figures(tuned, pupils),
                "others": figures(tuned, elsewhere),
            }
            for name, (tuned, seconds) in networks.items()
        }
        save(path, {"sensor": sensor, "training_scene": training_scene, "runs": runs})
        print(f"one-shot, {sensor}: tuned on {training_scene}", flush=True)
    return _table(folder, baseline)


def _by_sensor(entries: Sequence[SceneEntry], make_case: MakeCase) -> dict[str, list[SceneEntry]]:
    """Known sensor -> its scenes that Wald's protocol can score."""
    groups: dict[str, list[SceneEntry]] = {}
    for entry in entries:
        try:
            sensor = make_case(entry).scene.sensor
        except SceneError:
            continue
        if sensor.name != GENERIC.name:  # nothing but its bit depth is known
            groups.setdefault(sensor.name, []).append(entry)
    return groups


def _split(scenes: Sequence[SceneEntry], make_case: MakeCase) -> tuple[str, list[Case]]:
    """(name of the training scene, cases of the scenes that share no pixel with it)."""
    training_scene = scenes[0].load()
    cases = []
    for entry in scenes[1:]:
        try:
            refuse_shared_pixels(training_scene, entry.load())
        except SceneError:
            continue
        cases.append(make_case(entry))
    return training_scene.name, cases


def _tuned(
    net: nn.Module, info: CheckpointInfo, case: Case, steps: int | None
) -> dict[str, tuple[nn.Module, float]]:
    """Kind of tuning -> (network, seconds of processor time)."""
    entry = find_model(info.model)
    networks = {"zero-shot": (net, 0.0)}
    for name in ("full", "freeze", "scratch"):
        recipe = ONE_SHOT["freeze" if name == "freeze" else "full"]()
        recipe = replace(recipe, model=entry.name, max_steps=steps or recipe.max_steps)
        start = net
        if name == "scratch":
            torch.manual_seed(0)
            start = build_model(entry.name, **info.sizes)
            recipe = replace(recipe, learning_rate=SCRATCH_RATE, blend=1.0)
        begun = time.process_time()
        networks[name] = (tune(start, entry, case, recipe), time.process_time() - begun)
    return networks


def _table(folder: Path, baseline: Figures) -> str:
    lines = [f"| {HEAD} |", "|---|---|---|---|---|---|---|---|---|"]
    for path in sorted(folder.glob("*.json")):
        kept = json.loads(path.read_text())
        for name, run in kept["runs"].items():
            own, others = (
                relative_cells([run[k]], baseline).split(" | ") for k in ("own", "others")
            )
            lines.append(
                f"| {kept['sensor']} | {kept['training_scene']} | {name} | {run['seconds']:.0f} "
                f"| {len(run['own'])} | {' | '.join(own[:3])} | {others[0]} |"
            )
    return "\n".join(lines)
