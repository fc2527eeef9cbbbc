"""A part of the study: what `fuse --adapt SECONDS` gains on real scenes, and what its gate keeps.

Two views. Held out: the scene as it is; ERGAS on the third of it that is not trained on, against
the MS itself, before and after. The gate goes by the same figure, so that what is kept looks a
little too good; all runs are listed. One level down: the network adapts to the scene reduced by
Wald's protocol without its truth and is then scored against it; that takes an MS of some 480
pixels a side at ratio 4.
"""

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path
from statistics import geometric_mean
from typing import Any

from bench.study.runs import save
from fusiontrain.errors import SceneError
from fusiontrain.evaluation.case import Case
from fusiontrain.evaluation.contenders import network, score
from fusiontrain.evaluation.protocols import reduced
from fusiontrain.fusion.fuse_scene import AdaptationResult
from fusiontrain.fusion.make_fuser import make_network_fuser
from fusiontrain.fusion.network_fuser import NetworkFuser
from fusiontrain.fusion.options import AdaptationBudget, FusionOptions
from fusiontrain.fusion.sensor_model import estimate_sensor_model
from fusiontrain.scenes.discovery import find_scenes
from fusiontrain.scenes.scene import Scene
from fusiontrain.training.adaptation import adapt

TIMES = (10.0, 30.0)  # seconds; --steps: so many steps instead


def adaptation(args: argparse.Namespace) -> str:
    """Each scene for each time; only scenes whose MS is a truth of its own."""
    folder = args.work / "adapt"
    folder.mkdir(parents=True, exist_ok=True)
    budgets = (
        [AdaptationBudget(seconds=s) for s in TIMES]
        if args.steps is None
        else [AdaptationBudget(steps=args.steps)]
    )
    for entry in [] if args.table else find_scenes(args.scenes):
        path = folder / f"{entry.name}.json"
        if path.exists() or (args.only and entry.name not in args.only):
            continue
        scene = entry.load()
        runs = [_run(args.weights, scene, budget) for budget in budgets]
        save(path, {"scene": scene.name, "sensor": scene.sensor.name, "runs": runs})
        print(f"adapt: {scene.name}", flush=True)
    return _table(folder)


def _run(weights: Path, scene: Scene, budget: AdaptationBudget) -> dict[str, Any]:
    fuser = make_network_fuser(FusionOptions(weights=weights))
    pair = replace(scene, gt=None)
    _, own = adapt(fuser, pair, estimate_sensor_model(pair, sensor=None, softness=None), budget)
    down = _one_level_down(fuser, scene, budget)
    return {"budget": asdict(budget), "own": own.as_data(), "down": down}


def _one_level_down(fuser: NetworkFuser, scene: Scene, budget: AdaptationBudget) -> dict[str, Any]:
    """The gate's decision there, and ERGAS of what `fuse` would have used, before and after."""
    try:
        case = reduced(scene)
        tuned, outcome = adapt(fuser, replace(case.scene, gt=None), case.sensor_model, budget)
    except SceneError as error:
        outcome = AdaptationResult(kept=False, reason=str(error).splitlines()[0])
    row: dict[str, Any] = dict(outcome.as_data())
    if outcome.ergas is not None:
        row["truth"] = [_ergas(one, case) for one in (fuser, tuned)]
    return row


def _ergas(fuser: NetworkFuser, case: Case) -> float:
    (result,) = score(case, [network(fuser.net, fuser.entry.halo)])
    return result.indices["ERGAS"]


def _table(folder: Path) -> str:
    head = "scene | sensor | budget | steps | ERGAS held out | kept | % a second | one level down"
    lines = [f"| {head} |", "|---|---|---|---:|---|---|---:|---|"]
    ratios: dict[str, list[tuple[bool, float]]] = {}
    for path in sorted(folder.glob("*.json")):
        kept = json.loads(path.read_text())
        for run in kept["runs"]:
            own, budget = run["own"], _shown(run["budget"])
            row = f"| {kept['scene']} | {kept['sensor']} | {budget} | {own['steps']} |"
            if own["ergas"] is None:
                lines.append(f"{row} {own['reason']} | | | |")
                continue
            before, after = own["ergas"]
            rate = 100 * (1 - after / before) / own["seconds"]
            ratios.setdefault(budget, []).append((own["kept"], after / before))
            lines.append(
                f"{row} {before:.3f} to {after:.3f} | {'yes' if own['kept'] else 'no'} "
                f"| {rate:.3f} | {_down(run['down'])} |"
            )
    for budget, pairs in ratios.items():
        used = [ratio if kept else 1.0 for kept, ratio in pairs]
        held = sum(kept for kept, _ in pairs)
        lines.append(
            f"\n{budget}: {len(pairs)} scenes, kept on {held}; ERGAS after over before, "
            f"geometric mean: {geometric_mean([r for _, r in pairs]):.4f} of all, "
            f"{geometric_mean(used):.4f} with the gate"
        )
    return "\n".join(lines)


def _shown(budget: dict[str, Any]) -> str:
    return f"{budget['seconds']:g} s" if budget["steps"] is None else f"{budget['steps']} steps"


def _down(down: dict[str, Any]) -> str:
    if "truth" not in down:
        return "too small"
    before, after = down["truth"]
    return f"{before:.3f} to {after:.3f}, {'kept' if down['kept'] else 'not kept'}"
