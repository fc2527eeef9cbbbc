"""A figure: ERGAS over training time."""

import math
from pathlib import Path
from statistics import fmean

from bench.study.seed.plan import BOTH
from bench.study.seed.results import Results
from bench.study.seed.scores import Scores

STYLES = {"ours": "-", "paper": ":"}


def draw_curves(results: Results, path: Path) -> None:
    """One line a network and recipe, both kinds of images, the first seed. Needs matplotlib."""
    from matplotlib.figure import Figure

    scores = Scores(results)
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    for number, name in enumerate(scores.networks):
        for recipe, style in STYLES.items():
            found = results.where(network=name, tuning="zero-shot", recipe=recipe, images=BOTH)
            curves = [record["curve"] for record in found if record.get("curve")]
            if curves:
                seconds = [one["seconds"] for one in curves[0]]
                ratios = [_ratio(scores, one) for one in curves[0]]
                axes.plot(
                    seconds,
                    ratios,
                    style,
                    color=f"C{number}",
                    label=f"{name}, {recipe}",
                    marker=".",
                )
    if axes.lines:
        figure.legend(fontsize="small", loc="outside right")
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="seconds of processor time, one thread",
        ylabel="ERGAS / best classical method",
    )
    seconds, ratios = (2, 5, 10, 20, 50, 100), (0.9, 1, 1.2, 1.5, 2, 3, 5)
    axes.set_xticks(seconds, labels=[f"{value:g}" for value in seconds])
    axes.set_yticks(ratios, labels=[f"{value:g}" for value in ratios])
    axes.minorticks_off()
    figure.savefig(path, dpi=110)


def _ratio(scores: Scores, point: dict[str, float]) -> float:
    logs = [math.log(point[s] / scores.first_best(s)) for s in scores.sensors if s in point]
    return math.exp(fmean(logs))
