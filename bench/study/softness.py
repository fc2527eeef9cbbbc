"""A part of the study: which softness a network should be given.

One level down, where the truth is known: the softness estimated on the pair, and the sensor's
nominal row. At full resolution: HQNR for a range of values.
"""

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

import torch
from torch import Tensor

from bench.study.baseline import HEAD, read_baseline, relative_cells
from bench.study.runs import Figures, save
from bench.study.scoring import figures, read_cases
from fusiontrain.errors import SceneError
from fusiontrain.evaluation.case import Case
from fusiontrain.evaluation.contenders import Contender, network, score
from fusiontrain.evaluation.protocols import full
from fusiontrain.fusion.sensor_model import estimate_sensor_model
from fusiontrain.models.checkpoints import load_checkpoint
from fusiontrain.models.registry import find_model
from fusiontrain.scenes.discovery import SceneEntry, find_scenes

VALUES = (0.1, 0.3, 0.5, 0.7, 0.9)
COLUMNS = ("HQNR", "D_lambda_K", "D_s")


def softness(args: argparse.Namespace) -> str:
    """Both tables."""
    path = args.work / "softness.json"
    net, info = load_checkpoint(args.weights)
    cases = [] if args.table else read_cases(args.scenes)
    baseline = read_baseline(args, cases)
    if not path.exists() and not args.table:
        nominal = [_with_softness(case, _nominal(case)) for case in cases]
        contender = network(net, find_model(info.model).halo)
        args.work.mkdir(parents=True, exist_ok=True)
        save(
            path,
            {
                "estimated": figures(net, cases),
                "nominal": figures(net, nominal),
                "full": _full_resolution(find_scenes(args.scenes), contender),
            },
        )
    kept = json.loads(path.read_text())
    lines = [f"| softness given | {HEAD}", "|---|---|---|---|---|"]
    lines += [
        f"| {name} | {relative_cells([kept[name]], baseline)}" for name in ("estimated", "nominal")
    ]
    head = " | ".join(COLUMNS)
    lines += ["", f"| softness, full resolution | scenes | {head} |", "|---|---|---|---|---|"]
    for name, scenes in kept["full"].items():
        means = (fmean(indices[k] for indices in scenes.values()) for k in COLUMNS)
        lines.append(f"| {name} | {len(scenes)} | {' | '.join(f'{m:.4f}' for m in means)} |")
    return "\n".join(lines)


def _with_softness(case: Case, value: Tensor | float) -> Case:
    gains = torch.full_like(case.sensor_model.softness, float(value))
    return replace(case, sensor_model=replace(case.sensor_model, softness=gains))


def _nominal(case: Case) -> float:
    """The mean of the sensor's published gains."""
    return fmean(case.scene.sensor.gains(case.scene.bands))


def _full_resolution(entries: Sequence[SceneEntry], contender: Contender) -> dict[str, Figures]:
    """Setting -> scene -> indices of full resolution, where all are finite."""
    found: dict[str, Figures] = {}
    for entry in entries:
        try:
            scene = entry.load()
            case = full(scene)
            estimate = estimate_sensor_model(scene, sensor=None, softness=None)
        except SceneError:
            continue
        nominal = _nominal(case)
        model = replace(case.sensor_model, mtf=estimate.mtf, softness=estimate.softness)
        settings = {
            "auto, the sensor's MTF": case,
            "nominal": _with_softness(case, nominal),
            "estimated, the sensor's MTF": _with_softness(case, estimate.ms_softness or nominal),
            "auto, the MTF too (fuse)": replace(case, sensor_model=model),
        }
        settings |= {f"{value:.1f}": _with_softness(case, value) for value in VALUES}
        for name, chosen in settings.items():
            (result,) = score(chosen, [contender])
            if all(map(math.isfinite, result.indices.values())):
                found.setdefault(name, {})[case.name] = result.indices
    return found
