"""The honest bar: a network against the best classical method of each scene and index.

The best is chosen anew for every scene and index among all that were judged here, plain or on
a PAN blurred as the MS is. No single method reaches it; a claim of "better" has to. Where
classical methods ran on a registered PAN too, a second, higher bar counts those.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from fusiontrain.evaluation.tables import Row, kind_of

PLAIN_AND_SOFT, ALL = "plain or soft", "registered too"
RATIOS = ("ERGAS", "SAM")  # lower is better: network over best, below 1 is better
DIFFERENCES = ("Q2n", "HQNR", "HQNR_reg")  # higher is better: network less best, above 0 is better


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """One network on one scene and index."""

    network: str
    scene: str
    index: str
    best: str  # the method that set the bar
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
    scenes: int
    better: int
    mean: float
    worst: Comparison


def best_classical_baseline(rows: Sequence[Row]) -> list[Summary]:
    """In the order of rivals, networks and indices; published rows are no part of it."""
    measured = [row for row in rows if not row.origin]
    own = [row for row in measured if kind_of(row.method) == "network"]
    plain = [row for row in measured if kind_of(row.method) in ("plain", "soft")]
    registered = [row for row in measured if kind_of(row.method) == "registered"]
    bars = {PLAIN_AND_SOFT: plain} | ({ALL: plain + registered} if registered else {})
    return [
        _summary(network, index, name, found)
        for name, rivals in bars.items()
        for network in dict.fromkeys(row.method for row in own)
        for index in (*RATIOS, *DIFFERENCES)
        if (found := _against([r for r in own if r.method == network], rivals, index))
    ]


def scene_by_scene(rows: Sequence[Row], network: str, rivals: str = PLAIN_AND_SOFT) -> str:
    """Markdown: a network's value on each scene, and the best rival's with its name."""
    kinds = ("plain", "soft") if rivals == PLAIN_AND_SOFT else ("plain", "soft", "registered")
    measured = [row for row in rows if not row.origin]
    bar = [row for row in measured if kind_of(row.method) in kinds]
    own = {(r.scene, r.protocol): r for r in measured if r.method == network}
    columns = ("ERGAS", "SAM", "Q2n", "HQNR")
    lines = [f"| scene | {' | '.join(columns)} |", "|---" * (1 + len(columns)) + "|"]
    for scene in dict.fromkeys(scene for scene, _ in own):
        cells = []
        for index in columns:
            row = own.get((scene, "full" if index == "HQNR" else "reduced"))
            found = [] if row is None else _against([row], bar, index)
            cells.append(_beside(row, found[0], index, bar) if row and found else "-")
        lines.append(f"| {scene} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _beside(row: Row, one: Comparison, index: str, bar: Sequence[Row]) -> str:
    (rival,) = (
        r.indices[index]
        for r in bar
        if (r.scene, r.protocol, r.method) == (row.scene, row.protocol, one.best)
    )
    own = f"{row.indices[index]:.3f}"
    return f"{f'**{own}**' if one.better else own} / {rival:.3f} {one.best}"


def _against(own: Sequence[Row], rivals: Sequence[Row], index: str) -> list[Comparison]:
    found = []
    for row in own:
        if not _has(row, index):
            continue
        there = [
            rival
            for rival in rivals
            if (rival.scene, rival.protocol) == (row.scene, row.protocol) and _has(rival, index)
        ]
        if not there:
            continue
        pick = min if index in RATIOS else max
        best = pick(there, key=lambda rival: rival.indices[index])
        value, bar = row.indices[index], best.indices[index]
        if index in RATIOS and bar <= 0:
            continue  # a perfect rival leaves no ratio
        found.append(
            Comparison(
                network=row.method,
                scene=row.scene,
                index=index,
                best=best.method,
                value=value / bar if index in RATIOS else value - bar,
            )
        )
    return found


def _summary(network: str, index: str, rivals: str, found: list[Comparison]) -> Summary:
    values = [one.value for one in found]
    if index in RATIOS:
        mean = math.exp(sum(map(math.log, values)) / len(values)) if min(values) > 0 else 0.0
        worst = max(found, key=lambda one: one.value)
    else:
        mean = sum(values) / len(values)
        worst = min(found, key=lambda one: one.value)
    return Summary(
        network=network,
        index=index,
        rivals=rivals,
        scenes=len(found),
        better=sum(one.better for one in found),
        mean=mean,
        worst=worst,
    )


def _has(row: Row, index: str) -> bool:
    return math.isfinite(row.indices.get(index, math.nan))


_HEADS = ("network", "rivals", "index", "mean", "better on", "worst")


def _cells(one: Summary) -> tuple[str, ...]:
    sign = "" if one.index in RATIOS else "+"
    kind = "network / best" if one.index in RATIOS else "network - best"
    return (
        one.network,
        one.rivals,
        f"{one.index} ({kind})",
        f"{one.mean:{sign}.3f}",
        f"{one.better} of {one.scenes}",
        f"{one.worst.value:{sign}.3f} on {one.worst.scene} (against {one.worst.best})",
    )


def as_text(bar: Sequence[Summary]) -> str:
    return "\n".join(
        "{}, rivals {}: {} {}, better on {} scenes; worst {}".format(*_cells(one)) for one in bar
    )


def as_markdown(bar: Sequence[Summary]) -> str:
    if not bar:
        return ""
    lines = [f"| {' | '.join(_HEADS)} |", "|---" * len(_HEADS) + "|"]
    lines += [f"| {' | '.join(_cells(one))} |" for one in bar]
    return "**Against the best classical method of each scene and index**\n\n" + ("\n".join(lines))


def as_html(bar: Sequence[Summary]) -> str:
    if not bar:
        return ""
    head = "".join(f'<th scope="col">{name}</th>' for name in _HEADS)
    lines = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in _cells(one)) + "</tr>"
        for one in bar
    )
    return (
        '<div class="scroll" tabindex="0"><table class="indices"><caption>The best is chosen anew '
        "for each scene and index among all classical methods, plain or on a PAN blurred as the MS "
        f"is (soft)</caption><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>"
    )
