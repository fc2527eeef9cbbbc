"""Baseline of the study's figures: the best classical method of each scene and index."""

import argparse
import json
import math
from collections.abc import Sequence
from statistics import fmean
from typing import Any

from bench.study.runs import INDICES, LOWER, Figures, relative, save, spread
from bench.study.scoring import figures
from fusiontrain.evaluation.case import Case
from fusiontrain.evaluation.tables import kind_of
from fusiontrain.models.anyband.default_network import AnyBand
from shards.errors import PanpriorError

INDICES_OF = {"reduced": INDICES, "full": ("HQNR", "HQNR_reg")}
HEAD = "ERGAS | SAM | Q2n | better in ERGAS on |"


def read_baseline(args: argparse.Namespace, cases: Sequence[Case]) -> Figures:
    """Scene -> index -> the best plain or soft method of --baseline.

    Without --baseline: the figures of the injection that networks start from.
    """
    if args.baseline is not None:
        return best_classical(json.loads(args.baseline.read_text())["rows"])
    path = args.work / "injection.json"
    if not path.exists():
        args.work.mkdir(parents=True, exist_ok=True)
        save(path, {"figures": figures(AnyBand(), cases)})
    injection: Figures = json.loads(path.read_text())["figures"]
    return injection


def best_classical(
    rows: Sequence[dict[str, Any]],
    kinds: Sequence[str] = ("plain", "soft"),
    *,
    protocol: str = "reduced",
) -> Figures:
    """Scene -> index -> the best of a benchmark's rows. Raises: PanpriorError if it has none."""
    best: Figures = {}
    for row in rows:
        if row["protocol"] != protocol or kind_of(row["method"]) not in kinds:
            continue
        scene = best.setdefault(row["scene"], {})
        for index in INDICES_OF[protocol]:
            value = row["indices"].get(index)
            if value is None or not math.isfinite(value):
                continue
            better = min if index in LOWER else max
            scene[index] = better(scene.get(index, value), value)
    if not best:
        raise PanpriorError(f"--baseline holds no classical method of the protocol {protocol}")
    return best


def relative_cells(runs: Sequence[Figures], baseline: Figures) -> str:
    """Cells of a table: means over scenes, with their spread over runs."""
    scenes = [name for name in baseline if all(name in run for run in runs)]
    if not scenes:
        return "no scene of these in the baseline | | | |"
    shared = {name: baseline[name] for name in scenes}
    means = [relative(run, shared, held=False) for run in runs]
    cells = [spread([mean[index] for mean in means], signed=index == "Q2n") for index in INDICES]
    better = [sum(run[n]["ERGAS"] < shared[n]["ERGAS"] for n in scenes) for run in runs]
    return f"{' | '.join(cells)} | {fmean(better):.3g} of {len(scenes)} |"
