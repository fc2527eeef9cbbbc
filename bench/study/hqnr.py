"""A part of the study: what HQNR, which no truth goes into, says of networks and of the truth.

At full resolution: the network as `fuse` runs it, with the softness that the MS has even where
that is softer than nominal, and with PAN as it came, as the classical methods get it.
One level down, where the truth is known: HQNR of the truth itself, of the network, of every
classical method, plain or soft. What the truth does not win cannot be asked of a fusion.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from statistics import fmean

import torch
from torch import Tensor

from bench.study.baseline import best_classical
from bench.study.runs import Figures, save
from bench.study.scoring import reduced_case, softness_of_sensors
from fusiontrain.classical import METHODS
from fusiontrain.errors import SceneError
from fusiontrain.evaluation.case import Case
from fusiontrain.evaluation.contenders import Contender, classical, network, score
from fusiontrain.evaluation.protocols import full
from fusiontrain.evaluation.score_image import BLOCK
from fusiontrain.imaging.shift_estimation import NO_SHIFT
from fusiontrain.models.checkpoints import load_checkpoint
from fusiontrain.models.registry import find_model
from fusiontrain.scenes.discovery import SceneEntry, find_scenes

TRUTH, NETWORK = "the truth", "network"
COLUMNS = ("HQNR", "HQNR_reg", "D_lambda_K", "D_s")


def hqnr(args: argparse.Namespace) -> str:
    """Both tables."""
    folder = args.work / "hqnr"
    folder.mkdir(parents=True, exist_ok=True)
    net, info = load_checkpoint(args.weights)
    contender = network(net, find_model(info.model).halo, NETWORK)
    entries = [] if args.table else find_scenes(args.scenes)
    make_case = partial(reduced_case, softness=softness_of_sensors(entries))
    for entry in entries:
        path = folder / f"{entry.name}.json"
        if path.exists() or (args.only and entry.name not in args.only):
            continue
        row = {"settings": _settings(entry, contender), "down": {}}
        try:
            row["down"] = _one_level_down(make_case(entry), contender)
        except SceneError as error:
            print(f"hqnr: {error}", flush=True)
        save(path, row)
    kept = {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}
    baseline = None
    if args.baseline is not None:
        rows = json.loads(args.baseline.read_text())["rows"]
        baseline = best_classical(rows, protocol="full")
    return f"{_settings_table(kept, baseline)}\n\n{_down_table(kept)}"


def _settings(entry: SceneEntry, contender: Contender) -> Figures:
    """Indices of full resolution by what the network is given."""
    case = full(entry.load())
    model = case.sensor_model
    assert model.ms_softness is not None
    soft = replace(model, softness=torch.full_like(model.softness, model.ms_softness))
    models = {
        "as `fuse` does": model,
        "softness as estimated": soft,
        "PAN as it came": replace(model, shift=NO_SHIFT),
        "softness as estimated, PAN as it came": replace(soft, shift=NO_SHIFT),
    }
    # Scored against the same registered PAN, whichever the network got.
    with torch.inference_mode():
        fused = {
            name: contender.fuse(replace(case, sensor_model=model))
            for name, model in models.items()
        }
    return {name: _indices(case, image) for name, image in fused.items() if image is not None}


def _one_level_down(case: Case, contender: Contender) -> Figures:
    """The case as if its truth were unknown, then scored as scenes are at full resolution."""
    scene, truth, ratio = case.scene, case.truth, case.scene.ratio
    assert truth is not None
    h, w = (side // BLOCK * BLOCK for side in truth.shape[1:])
    blind = replace(
        case,
        scene=replace(
            scene,
            ms=scene.ms[:, : h // ratio, : w // ratio],
            pan=scene.pan[:, :h, :w],
            valid=None if scene.valid is None else scene.valid[:h, :w],
        ),
        truth=None,
    )
    contenders = [contender, *classical(list(METHODS))]
    rows = {result.method: result.indices for result in score(blind, contenders)}
    return {TRUTH: _indices(blind, truth[:, :h, :w])} | rows


@torch.inference_mode()
def _indices(case: Case, fused: Tensor) -> dict[str, float]:
    (result,) = score(case, [Contender(name=TRUTH, fuse=lambda _: fused)])
    return result.indices


def _settings_table(kept: dict[str, dict[str, Figures]], baseline: Figures | None) -> str:
    heads = ("given", *COLUMNS, "better by HQNR on", "by HQNR_reg on")
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    names = list(dict.fromkeys(name for row in kept.values() for name in row["settings"]))
    for name in names:
        figures = {scene: row["settings"][name] for scene, row in kept.items()}
        means = [fmean(indices[c] for indices in figures.values()) for c in COLUMNS]
        wins = _wins(figures, baseline, "HQNR"), _wins(figures, baseline, "HQNR_reg")
        lines.append(
            f"| {name} | {' | '.join(f'{mean:.4f}' for mean in means)} | {' | '.join(wins)} |"
        )
    return "\n".join(lines)


def _wins(figures: Figures, baseline: Figures | None, index: str) -> str:
    if baseline is None:
        return "give --baseline"
    scenes = [scene for scene in figures if scene in baseline]
    return f"{sum(figures[s][index] > baseline[s][index] for s in scenes)} of {len(scenes)}"


def _down_table(kept: dict[str, dict[str, Figures]]) -> str:
    lines = ["| scene | the truth | network | best classical method |", "|---|---|---|---|"]
    rows = list(_down_rows(kept))
    for scene, truth, ours, best, name in rows:
        lines.append(f"| {scene} | {truth:.3f} | {ours:.3f} | {best:.3f} {name} |")
    for what, values in (("the truth", [r[1] for r in rows]), ("network", [r[2] for r in rows])):
        better = sum(value > row[3] for value, row in zip(values, rows, strict=True))
        lines.append(f"\n{what}: HQNR above the best classical method's on {better} of {len(rows)}")
    return "\n".join(lines)


def _down_rows(
    kept: dict[str, dict[str, Figures]],
) -> Iterator[tuple[str, float, float, float, str]]:
    for scene, row in kept.items():
        values: dict[str, float] = {name: one["HQNR"] for name, one in row["down"].items()}
        rivals: Sequence[str] = [name for name in values if name not in (TRUTH, NETWORK)]
        if rivals:
            best = max(rivals, key=lambda name: values[name])
            yield scene, values[TRUTH], values[NETWORK], values[best], best
