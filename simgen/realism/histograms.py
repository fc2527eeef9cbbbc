"""Histograms of the statistics: the real scenes in grey, a line for each build."""

import warnings
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from shards.atomic_write import whole_file
from shards.console import printable
from simgen.realism.compare import Comparison
from simgen.realism.distance import Values
from simgen.realism.statistics import STATISTICS, Statistic

_WIDTH, _HEIGHT = 4.0, 2.5  # inches of one panel
_DPI = 100
_BARS = 32
_COLUMNS = 3
_REAL = "#c9c9c9"
_COLOURS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # Okabe and Ito's
_HEADROOM = 2.5  # of the highest real bar: a build in one bar must not flatten the real side


def draw_histograms(comparison: Comparison, out: Path) -> list[str]:
    """realism.png with every statistic, and NAME.png for each; the names of the files."""
    names = ["realism.png"]
    rows = -(-len(STATISTICS) // _COLUMNS)
    figure = Figure(figsize=(_COLUMNS * _WIDTH, rows * _HEIGHT), dpi=_DPI, layout="constrained")
    axes = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    for axis in axes[len(STATISTICS) :]:
        axis.set_axis_off()
    for axis, statistic in zip(axes, STATISTICS, strict=False):
        _draw(axis, statistic, comparison)
    _save(figure, out / names[0])
    for statistic in STATISTICS:
        figure = Figure(figsize=(_WIDTH, _HEIGHT), dpi=_DPI, layout="constrained")
        _draw(figure.subplots(), statistic, comparison)
        names.append(f"{statistic.name}.png")
        _save(figure, out / names[-1])
    return names


def _draw(axis: Axes, statistic: Statistic, comparison: Comparison) -> None:
    name, (low, high) = statistic.name, statistic.shown
    edges = np.linspace(low, high, _BARS + 1)
    real = _heights(comparison.real.values[name], statistic.shown)
    axis.stairs(real, edges, fill=True, color=_REAL, label="real")
    highest = real.max()
    for i, side in enumerate(comparison.builds):
        heights = _heights(side.values[name], statistic.shown)
        distance = comparison.distances[side.name][name]
        colour = _COLOURS[i % len(_COLOURS)]
        label = f"{printable(side.name)} {distance:.2f}"
        axis.stairs(heights, edges, color=colour, label=label, linewidth=1.5)
        highest = max(highest, heights.max())
    axis.set_title(statistic.text, fontsize=9)
    axis.set_xlabel(statistic.unit, fontsize=8)
    axis.set_xlim(low, high)
    axis.set_ylim(0, min(highest, _HEADROOM * real.max()) * 1.05)
    axis.set_yticks([])
    axis.tick_params(labelsize=8)
    for text in axis.legend(fontsize=7, frameon=False).get_texts():
        text.set_parse_math(False)  # a name with two $ is no formula


def _heights(values: Values, shown: tuple[float, float]) -> np.ndarray:
    """Shares by bar; values beyond `shown` count in the outermost bars."""
    inside = np.clip(values.numbers, *shown)
    return np.histogram(inside, _BARS, shown, weights=values.weights)[0]


def _save(figure: Figure, path: Path) -> None:
    with whole_file(path) as file, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph ")  # of a name in letters that the font lacks
        figure.savefig(file, format="png")
