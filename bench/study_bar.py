"""What the study's figures are over: the best classical method of each scene and index."""

import argparse
import json
import math
from collections.abc import Sequence
from statistics import fmean

from ablate import Figures, against, figures, save, spread

from fusiontrain.evaluation.protocols import Case
from fusiontrain.evaluation.tables import kind_of
from fusiontrain.models.anyband.default_network import AnyBand
from shards.errors import PanpriorError

LOWER = ("ERGAS", "SAM")
INDICES = (*LOWER, "Q2n")
JUDGED_BY = {"reduced": INDICES, "full": ("HQNR", "HQNR_reg")}
HEAD = "ERGAS | SAM | Q2n | better in ERGAS on |"


def bar_of(args: argparse.Namespace, cases: Sequence[Case]) -> Figures:
    """Scene -> index -> the best of plain and soft methods, or what the injection reaches."""
    if args.bar is not None:
        return best_classical(json.loads(args.bar.read_text())["rows"])
    path = args.work / "injection.json"
    if not path.exists():
        args.work.mkdir(parents=True, exist_ok=True)
        save(path, {"figures": figures(AnyBand(), cases, [], registered=True)})
    found: Figures = json.loads(path.read_text())["figures"]
    return found


def best_classical(
    rows: Sequence[dict], kinds: Sequence[str] = ("plain", "soft"), *, protocol: str = "reduced"
) -> Figures:
    """Scene -> index -> the best of a benchmark's rows. Raises: PanpriorError if it has none."""
    bar: Figures = {}
    for row in rows:
        if row["protocol"] != protocol or kind_of(row["method"]) not in kinds:
            continue
        scene = bar.setdefault(row["scene"], {})
        for index in JUDGED_BY[protocol]:
            value = row["indices"].get(index)
            if value is None or not math.isfinite(value):
                continue
            better = min if index in LOWER else max
            scene[index] = better(scene.get(index, value), value)
    if not bar:
        raise PanpriorError(f"--bar holds no classical method of the protocol {protocol}")
    return bar


def row_of(runs: Sequence[Figures], bar: Figures) -> str:
    """Cells of a table: means over scenes, with their spread over runs."""
    scenes = [name for name in bar if all(name in run for run in runs)]
    told = {name: bar[name] for name in scenes}
    if not scenes:
        return "no scene of these in the bar | | | |"
    means = [against(run, told, held=False) for run in runs]
    cells = [spread([one[index] for one in means], signed=index == "Q2n") for index in INDICES]
    better = [sum(run[n]["ERGAS"] < told[n]["ERGAS"] for n in scenes) for run in runs]
    return f"{' | '.join(cells)} | {fmean(better):.3g} of {len(scenes)} |"
