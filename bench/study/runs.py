"""Runs kept in files, and the means and spreads that tables show of them."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

LOWER = ("ERGAS", "SAM")
INDICES = (*LOWER, "Q2n")
HELD = "held "  # what the names of crops of held builds begin with
Figures = dict[str, dict[str, float]]  # scene -> index -> value


def save(path: Path, data: dict[str, Any]) -> None:
    """Written under another name first: a run that was stopped leaves no half file."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(data, indent=1) + "\n")
    partial.replace(path)


def relative(figures: Figures, baseline: Figures, *, held: bool) -> dict[str, float]:
    """ERGAS and SAM: geometric mean of ratios to the baseline; Q2n: mean difference.

    Over the scenes of the baseline, or over its crops of held builds; NaN where it has none.
    """
    names = [name for name in baseline if name.startswith(HELD) == held]
    if not names:
        return dict.fromkeys(INDICES, math.nan)
    means = {
        index: math.exp(fmean(math.log(figures[n][index] / baseline[n][index]) for n in names))
        for index in LOWER
    }
    return means | {"Q2n": fmean(figures[n]["Q2n"] - baseline[n]["Q2n"] for n in names)}


def spread(values: Sequence[float], *, signed: bool = False) -> str:
    """Mean, and the standard deviation where there are several values."""
    if any(map(math.isnan, values)):
        return "-"
    shown = f"{fmean(values):{'+' if signed else ''}.4f}"
    return f"{shown} ± {stdev(values):.4f}" if len(values) > 1 else shown
