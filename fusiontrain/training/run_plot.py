"""A picture of runs: loss, validation and throughput over the steps. The only matplotlib import."""

import math
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from fusiontrain.errors import TrainingError
from fusiontrain.training.run_files import LOG_NAME
from fusiontrain.training.run_record import Columns, RunRecord
from shards.atomic_write import whole_file
from shards.console import printable

_PANEL = (5.2, 3.2)  # inches
_DPI = 110
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # Okabe and Ito's
_TITLES = {
    "held_loss": "loss on held builds",
    "held_ergas": "ERGAS on held builds",
    "scenes_ergas_ratio": "ERGAS of scenes / best of three classical methods",
}
_LONGEST = 40  # characters of a run's name in the legend


def plot_runs(runs: Sequence[RunRecord], out: Path) -> None:
    """Write a picture of the format that the suffix of `out` names: .png, .pdf or .svg.

    Raises: TrainingError naming a run without a row.
    """
    for run in runs:
        if not run.log["step"]:
            raise TrainingError(f"{run.folder} has no row in {LOG_NAME} yet")
    found = [name for name in _TITLES if any(run.validation.get(name) for run in runs)]
    count = 2 + len(found)
    columns = min(count, 2)
    rows = -(-count // columns)
    size = (columns * _PANEL[0], rows * _PANEL[1] + 0.3)
    figure = Figure(figsize=size, dpi=_DPI, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes[count:]:
        axis.set_axis_off()
    for i, run in enumerate(runs):
        colour = _COLOURS[i % len(_COLOURS)]
        label = printable(run.name).replace("$", r"\$")[-_LONGEST:]
        _line(axes[0], run.log, "step_loss", colour, alpha=0.25, width=0.8)
        _line(axes[0], run.log, "loss", colour, label=label)
        for axis, name in zip(axes[1:], found, strict=False):
            _line(axis, run.validation, name, colour, label=label, marker="o")
            value, step = run.best(name)
            if math.isfinite(value):
                axis.plot([step], [value], "*", color=colour, markersize=12)
        _line(axes[count - 1], run.log, "crops_per_second", colour, label=label)
    titles = ["training loss", *(_TITLES[name] for name in found), "crops a second"]
    for axis, title in zip(axes, titles, strict=False):
        _finish(axis, title)
    axes[0].set_yscale("log")
    for set_formatter in (axes[0].yaxis.set_major_formatter, axes[0].yaxis.set_minor_formatter):
        set_formatter(_PlainNumbers(minor_thresholds=(2, 0.4)))
    axes[count - 1].set_ylim(bottom=0)
    if axes[0].get_legend_handles_labels()[0]:  # a table may lack the column
        axes[0].legend(fontsize=8)
    with whole_file(out) as file:
        figure.savefig(file, format=out.suffix[1:].lower())


class _PlainNumbers(LogFormatter):
    """Of a logarithmic axis: 0.06, where matplotlib writes a power of ten."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return f"{x:g}" if super().__call__(x, pos) else ""


def _line(
    axis: Axes,
    table: Columns,
    name: str,
    colour: str,
    *,
    label: str | None = None,
    alpha: float = 1.0,
    width: float = 1.6,
    marker: str | None = None,
) -> None:
    values = table.get(name)
    if values:
        axis.plot(
            table["step"],
            values,
            color=colour,
            label=label,
            alpha=alpha,
            linewidth=width,
            marker=marker,
            markersize=3,
        )


def _finish(axis: Axes, title: str) -> None:
    axis.set_title(title, fontsize=10)
    axis.set_xlabel("step", fontsize=9)
    axis.tick_params(which="both", labelsize=8)
    axis.grid(visible=True, alpha=0.25)
