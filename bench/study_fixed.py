"""Parts of the study about weights that are there: tuning on one pair, the dial."""

import argparse
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import fmean

import torch
from ablate import Figures, case_of, indices, read_cases, save, told_softness
from study_bar import HEAD, bar_of, row_of
from torch import Tensor, nn

from fusiontrain.errors import SceneError
from fusiontrain.evaluation.contenders import network, score
from fusiontrain.evaluation.leakage import refuse_shared_pixels
from fusiontrain.evaluation.protocols import Case, full
from fusiontrain.fusion.sensor_model import estimate_sensor_model
from fusiontrain.models.checkpoints import load_checkpoint
from fusiontrain.models.registry import ModelEntry, build_model, find_model
from fusiontrain.scenes.discovery import SceneEntry, find_scenes
from fusiontrain.training.one_shot import tune
from fusiontrain.training.recipes.one_shot import ONE_SHOT
from shards.sensors import GENERIC

DIAL = (0.1, 0.3, 0.5, 0.7, 0.9)
SCRATCH_RATE = 2e-3  # of a network that starts from nothing
Cases = Callable[[SceneEntry], Case]


def one_shot(args: argparse.Namespace) -> str:
    """Zero-shot, full, freeze, scratch: on other scenes of the sensor, and on other sensors."""
    folder = args.work / "one-shot"
    folder.mkdir(parents=True, exist_ok=True)
    net, info = load_checkpoint(args.weights)
    entry = find_model(info.model)
    bar = bar_of(args, [] if args.table else read_cases(args.scenes))
    entries = [] if args.table else find_scenes(args.scenes)
    cases = partial(case_of, told=told_softness(entries))
    sensors = _families(entries, cases)
    for sensor, scenes in sensors.items():
        path = folder / f"{sensor}.json"
        if path.exists() or (args.only and sensor not in args.only):
            continue
        others = [one for name, group in sensors.items() if name != sensor for one in group]
        told = _taught(net, entry, info.sizes, scenes, others, cases, args.steps)
        if told is not None:
            save(path, {"sensor": sensor} | told)
            print(f"one-shot, {sensor}: taught by {told['teacher']}", flush=True)
    return _one_shot_table(folder, bar)


def _families(entries: Sequence[SceneEntry], cases: Cases) -> dict[str, list[SceneEntry]]:
    """Known sensor -> its scenes that Wald's protocol can judge."""
    found: dict[str, list[SceneEntry]] = {}
    for entry in entries:
        try:
            sensor = cases(entry).scene.sensor
        except SceneError:
            continue
        if sensor.name != GENERIC.name:  # known by nothing but its bit depth
            found.setdefault(sensor.name, []).append(entry)
    return found


def _taught(
    net: nn.Module,
    entry: ModelEntry,
    sizes: dict[str, int],
    scenes: Sequence[SceneEntry],
    others: Sequence[SceneEntry],
    cases: Cases,
    steps: int | None,
) -> dict[str, object] | None:
    """What the first scene teaches; None where it has no other to teach."""
    training_scene = scenes[0].load()
    pupils = []
    for one in scenes[1:]:
        scene = one.load()
        try:
            refuse_shared_pixels(training_scene, scene)
        except SceneError:
            continue
        pupils.append(cases(one))
    if not pupils:
        return None
    lesson = cases(scenes[0])
    runs = {"zero-shot": (net, 0.0)}
    for name in ("full", "freeze", "scratch"):
        recipe = ONE_SHOT["freeze" if name == "freeze" else "full"]()
        recipe = replace(recipe, model=entry.name, max_steps=steps or recipe.max_steps)
        start = net
        if name == "scratch":
            torch.manual_seed(0)
            start, recipe = (
                build_model(entry.name, **sizes),
                replace(recipe, learning_rate=SCRATCH_RATE, blend=1.0),
            )
        begun = time.process_time()
        runs[name] = (tune(start, entry, lesson, recipe), time.process_time() - begun)
    elsewhere = [cases(one) for one in others]
    return {
        "teacher": training_scene.name,
        "runs": {
            name: {
                "seconds": seconds,
                "own": _figures(tuned, pupils),
                "others": _figures(tuned, elsewhere),
            }
            for name, (tuned, seconds) in runs.items()
        },
    }


@torch.inference_mode()
def _figures(net: nn.Module, cases: Sequence[Case]) -> Figures:
    return {c.name: indices(net, c.registered, c.truth, c.scene.valid) for c in cases}


def _one_shot_table(folder: Path, bar: Figures) -> str:
    lines = [
        "| sensor | taught by | tuning | seconds | scenes | ERGAS | SAM | Q2n | elsewhere ERGAS |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for path in sorted(folder.glob("*.json")):
        told = json.loads(path.read_text())
        for name, run in told["runs"].items():
            own, others = (row_of([run[k]], bar).split(" | ") for k in ("own", "others"))
            lines.append(
                f"| {told['sensor']} | {told['teacher']} | {name} | {run['seconds']:.0f} "
                f"| {len(run['own'])} | {' | '.join(own[:3])} | {others[0]} |"
            )
    return "\n".join(lines)


def softness(args: argparse.Namespace) -> str:
    """HQNR under the dial at full resolution; accuracy one level down with the nominal row."""
    path = args.work / "softness.json"
    net, info = load_checkpoint(args.weights)
    cases = [] if args.table else read_cases(args.scenes)
    bar = bar_of(args, cases)
    if not path.exists() and not args.table:
        told: dict[str, object] = {}
        for name in ("measured", "nominal"):
            chosen = [_told(c, _nominal(c)) if name == "nominal" else c for c in cases]
            told[name] = _figures(net, chosen)
        halo = find_model(info.model).halo
        told["dial"] = _dial(find_scenes(args.scenes), network(net, halo))
        args.work.mkdir(parents=True, exist_ok=True)
        save(path, told)
    kept = json.loads(path.read_text())
    lines = [f"| softness told | {HEAD}", "|---|---|---|---|---|"]
    lines += [f"| {name} | {row_of([kept[name]], bar)}" for name in ("measured", "nominal")]
    lines += [
        "",
        "| dial, full resolution | scenes | HQNR | D_lambda_K | D_s |",
        "|---|---|---|---|---|",
    ]
    for name, scenes in kept["dial"].items():
        means = (fmean(one[k] for one in scenes.values()) for k in ("HQNR", "D_lambda_K", "D_s"))
        lines.append(f"| {name} | {len(scenes)} | {' | '.join(f'{m:.4f}' for m in means)} |")
    return "\n".join(lines)


def _told(case: Case, value: Tensor | float) -> Case:
    gains = torch.full_like(case.sensor_model.softness, float(value))
    return replace(case, sensor_model=replace(case.sensor_model, softness=gains))


def _nominal(case: Case) -> float:
    """The mean of the sensor's published gains."""
    return fmean(case.scene.sensor.gains(case.scene.bands))


def _dial(entries: Sequence[SceneEntry], contender: object) -> dict[str, Figures]:
    found: dict[str, Figures] = {}
    for entry in entries:
        try:
            scene = entry.load()
            case = full(scene)
            measured = estimate_sensor_model(scene, sensor=None, softness=None)
        except SceneError:
            continue
        nominal = _nominal(case)
        settings = {"auto, the sensor's MTF": case, "nominal": _told(case, nominal)}
        settings["measured, the sensor's MTF"] = _told(case, measured.of_ms or nominal)
        told = replace(case.sensor_model, mtf=measured.mtf, softness=measured.softness)
        settings["auto, the MTF too (fuse)"] = replace(case, sensor_model=told)
        settings |= {f"{value:.1f}": _told(case, value) for value in DIAL}
        for name, chosen in settings.items():
            (result,) = score(chosen, [contender])
            if all(map(math.isfinite, result.indices.values())):
                found.setdefault(name, {})[case.name] = result.indices
    return found
