"""A network against the best classical baseline: the best classical method of each scene and index.

The best is chosen anew for every scene and index among all that were scored here, plain or on
a PAN blurred as the MS is ("soft"). No single method is that good; a claim of "better" has to be
better than this. Where classical methods ran on a registered PAN too, a second, stricter
baseline counts those.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fusiontrain.classical import METHODS
from fusiontrain.evaluation.tables import Column, Grid, GridCell, GridRow, Row, kind_of, pipe_table

PLAIN_AND_SOFT, ALL = "plain or soft", "registered too"
WALD_AND_FULL = {"ERGAS": "reduced", "SAM": "reduced", "Q2n": "reduced", "HQNR": "full"}
RATIOS = ("ERGAS", "SAM", "dE")  # lower is better: network over best, below 1 is better
_FEW = 3  # methods that are named one by one
DIFFERENCES = (
    "Q2n",
    "SSIM",
    "HQNR",
    "HQNR_reg",
)  # higher is better: network less best, above 0 is better


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """One network on one scene and index."""

    network: str
    scene: str
    index: str
    best: str  # the best classical method
    value: float  # a ratio or a difference

    @property
    def better(self) -> bool:
        return self.value < 1 if self.index in RATIOS else self.value > 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """One network and index over the scenes: geometric mean of ratios, mean of differences."""

    network: str
    index: str
    rivals: str  # of PLAIN_AND_SOFT, ALL
    among: tuple[str, ...]  # the classical methods that were scored
    scenes: int
    better: int
    mean: float
    worst: Comparison


def best_classical_baseline(rows: Sequence[Row]) -> list[Summary]:
    """In the order of rivals, networks and indices; published rows do not count."""
    scored = [row for row in rows if not row.origin]
    networks = [row for row in scored if kind_of(row.method) == "network"]
    plain = [row for row in scored if kind_of(row.method) in ("plain", "soft")]
    registered = [row for row in scored if kind_of(row.method) == "registered"]
    baselines = {PLAIN_AND_SOFT: plain} | ({ALL: plain + registered} if registered else {})
    summaries: list[Summary] = []
    for name, rivals in baselines.items():
        among = tuple(dict.fromkeys(row.method for row in rivals))
        for network in dict.fromkeys(row.method for row in networks):
            own = [row for row in networks if row.method == network]
            summaries += [
                _summary(network, index, name, among, comparisons)
                for index in (*RATIOS, *DIFFERENCES)
                if (comparisons := _compared(own, rivals, index))
            ]
    return summaries


def comparison_grid(baseline: Sequence[Summary]) -> Grid:
    """One summary a row."""
    heads = ("rivals", "index", "mean", "better on", "worst")
    ran = tuple(dict.fromkeys(method for summary in baseline for method in summary.among))
    among = "all classical methods, plain or on a PAN blurred as the MS is (soft)"
    if not _every(ran):
        among = f"{_named(ran)}, which ran here; benchmark --methods all scores all"
    return Grid(
        title="Against the best classical method of each scene and index",
        label="network",
        columns=tuple(Column(name=head) for head in heads),
        rows=tuple(
            GridRow(
                label=summary.network,
                kind="network",
                cells=tuple(GridCell(text=text) for text in _texts(summary)),
            )
            for summary in baseline
        ),
        note=f"The best is chosen anew for each scene and index among {among}.",
    )


def _every(methods: Sequence[str]) -> bool:
    return set(METHODS) <= set(methods)


def _named(methods: Sequence[str]) -> str:
    """As "GSA alone", "GSA and GSA soft", "17 classical methods"."""
    if len(methods) == 1:
        return f"{methods[0]} alone"
    if len(methods) > _FEW:
        return f"{len(methods)} classical methods"
    return f"{', '.join(methods[:-1])} and {methods[-1]}"


def scene_by_scene(
    rows: Sequence[Row],
    network: str,
    rivals: str = PLAIN_AND_SOFT,
    columns: Mapping[str, str] = WALD_AND_FULL,
) -> str:
    """Markdown: a network's value on each scene, and the best rival's with its name.

    `columns`: indices, each with the protocol that it is of.
    """
    kinds = ("plain", "soft") if rivals == PLAIN_AND_SOFT else ("plain", "soft", "registered")
    scored = [row for row in rows if not row.origin]
    baseline = [row for row in scored if kind_of(row.method) in kinds]
    own = {(row.scene, row.protocol): row for row in scored if row.method == network}
    lines = []
    for scene in dict.fromkeys(scene for scene, _ in own):
        cells = []
        for index, protocol in columns.items():
            row = own.get((scene, protocol))
            comparisons = [] if row is None else _compared([row], baseline, index)
            cells.append(_beside(row, comparisons[0], baseline) if row and comparisons else "-")
        lines.append([scene, *cells])
    return pipe_table(["scene", *columns], lines)


def _beside(row: Row, comparison: Comparison, baseline: Sequence[Row]) -> str:
    index = comparison.index
    (rival,) = (
        other.indices[index]
        for other in baseline
        if (other.scene, other.protocol, other.method) == (row.scene, row.protocol, comparison.best)
    )
    own = f"{row.indices[index]:.3f}"
    return f"{f'**{own}**' if comparison.better else own} / {rival:.3f} {comparison.best}"


def _compared(own: Sequence[Row], rivals: Sequence[Row], index: str) -> list[Comparison]:
    comparisons = []
    for row in own:
        there = [
            rival
            for rival in rivals
            if (rival.scene, rival.protocol) == (row.scene, row.protocol) and _has(rival, index)
        ]
        if not _has(row, index) or not there:
            continue
        pick = min if index in RATIOS else max
        best = pick(there, key=lambda rival: rival.indices[index])
        value, best_value = row.indices[index], best.indices[index]
        if index in RATIOS and best_value <= 0:
            continue  # a perfect rival leaves no ratio
        comparisons.append(
            Comparison(
                network=row.method,
                scene=row.scene,
                index=index,
                best=best.method,
                value=value / best_value if index in RATIOS else value - best_value,
            )
        )
    return comparisons


def _summary(
    network: str,
    index: str,
    rivals: str,
    among: tuple[str, ...],
    comparisons: list[Comparison],
) -> Summary:
    values = [comparison.value for comparison in comparisons]
    if index in RATIOS:
        mean = math.exp(sum(map(math.log, values)) / len(values)) if min(values) > 0 else 0.0
        worst = max(comparisons, key=lambda comparison: comparison.value)
    else:
        mean = sum(values) / len(values)
        worst = min(comparisons, key=lambda comparison: comparison.value)
    return Summary(
        network=network,
        index=index,
        rivals=rivals,
        among=among,
        scenes=len(comparisons),
        better=sum(comparison.better for comparison in comparisons),
        mean=mean,
        worst=worst,
    )


def _has(row: Row, index: str) -> bool:
    return math.isfinite(row.indices.get(index, math.nan))


def _texts(summary: Summary) -> tuple[str, ...]:
    sign = "" if summary.index in RATIOS else "+"
    value = "network / best" if summary.index in RATIOS else "network - best"
    worst = summary.worst
    return (
        summary.rivals if _every(summary.among) else _named(summary.among),
        f"{summary.index} ({value})",
        f"{summary.mean:{sign}.3f}",
        f"{summary.better} of {summary.scenes}",
        f"{worst.value:{sign}.3f} on {worst.scene} (against {worst.best})",
    )
