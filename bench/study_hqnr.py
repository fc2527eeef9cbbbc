"""A part of the study: what HQNR, which no truth goes into, says of networks and of the truth.

At full resolution: the network as `fuse` runs it, with the softness that the MS has even where
that is softer than nominal, and with PAN as it came, which is what the bar's methods have.
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
from ablate import Figures, case_of, save, told_softness
from study_bar import best_classical
from torch import Tensor

from fusiontrain.classical import METHODS
from fusiontrain.errors import SceneError
from fusiontrain.evaluation.contenders import Contender, classical, network, score
from fusiontrain.evaluation.protocols import BLOCK, Case, full
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
    cases = partial(case_of, told=told_softness(entries))
    for entry in entries:
        path = folder / f"{entry.name}.json"
        if path.exists() or (args.only and entry.name not in args.only):
            continue
        told = {"ways": _ways(entry, contender), "down": {}}
        try:
            told["down"] = _one_level_down(cases(entry), contender)
        except SceneError as error:
            print(f"hqnr: {error}", flush=True)
        save(path, told)
    kept = {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}
    bar = None
    if args.bar is not None:
        bar = best_classical(json.loads(args.bar.read_text())["rows"], protocol="full")
    return f"{_ways_table(kept, bar)}\n\n{_down_table(kept)}"


def _ways(entry: SceneEntry, contender: Contender) -> Figures:
    """Indices of full resolution by what the network is told."""
    case = full(entry.load())
    known = case.sensor_model
    assert known.of_ms is not None
    soft = replace(known, softness=torch.full_like(known.softness, known.of_ms))
    told = {
        "as `fuse` does": known,
        "softness as measured": soft,
        "PAN as it came": replace(known, shift=NO_SHIFT),
        "softness as measured, PAN as it came": replace(soft, shift=NO_SHIFT),
    }
    # Judged beside the same registered PAN, however the network saw it.
    with torch.inference_mode():
        fused = {way: contender.fuse(replace(case, sensor_model=one)) for way, one in told.items()}
    return {way: _indices(case, image) for way, image in fused.items() if image is not None}


def _one_level_down(case: Case, contender: Contender) -> Figures:
    """The case as if its truth were unknown, then judged as scenes are at full resolution."""
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
    found = {one.method: one.indices for one in score(blind, contenders)}
    return {TRUTH: _indices(blind, truth[:, :h, :w])} | found


@torch.inference_mode()
def _indices(case: Case, fused: Tensor) -> dict[str, float]:
    (result,) = score(case, [Contender(name=TRUTH, fuse=lambda _: fused)])
    return result.indices


def _ways_table(kept: dict[str, dict[str, Figures]], bar: Figures | None) -> str:
    heads = ("told", *COLUMNS, "better by HQNR on", "by HQNR_reg on")
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    ways = list(dict.fromkeys(way for told in kept.values() for way in told["ways"]))
    for way in ways:
        figures = {scene: told["ways"][way] for scene, told in kept.items()}
        means = [fmean(one[name] for one in figures.values()) for name in COLUMNS]
        wins = _wins(figures, bar, "HQNR"), _wins(figures, bar, "HQNR_reg")
        lines.append(
            f"| {way} | {' | '.join(f'{mean:.4f}' for mean in means)} | {' | '.join(wins)} |"
        )
    return "\n".join(lines)


def _wins(figures: Figures, bar: Figures | None, index: str) -> str:
    if bar is None:
        return "give --bar"
    there = [scene for scene in figures if scene in bar]
    return f"{sum(figures[s][index] > bar[s][index] for s in there)} of {len(there)}"


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
    for scene, told in kept.items():
        values: dict[str, float] = {name: one["HQNR"] for name, one in told["down"].items()}
        rivals: Sequence[str] = [name for name in values if name not in (TRUTH, NETWORK)]
        if rivals:
            best = max(rivals, key=lambda name: values[name])
            yield scene, values[TRUTH], values[NETWORK], values[best], best
