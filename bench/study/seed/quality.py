"""Full resolution, known truth and every band: what networks give beside classical methods."""

import math
from collections.abc import Iterator
from statistics import fmean

from bench.study.seed.answer import NONE, Answer, listed
from bench.study.seed.plan import BOTH, FIXED, LONG, OPEN, SHIPPED, classical_names
from bench.study.seed.results import Record
from bench.study.seed.scores import LEAST, Scores
from fusiontrain.evaluation.tables import pipe_table

GSA = "GSA"


def full_resolution(scores: Scores) -> Answer:
    """HQNR, S and C of the pairs as delivered; ERGAS, S and C of known truth."""
    contenders = dict(_contenders(scores))
    rows = [[name, *_cells(scores, record)] for name, record in contenders.items()]
    best = max(
        (name for name in contenders if name in classical_names()),
        key=lambda name: _hqnr(contenders[name]),
    )
    ours = [name for name in contenders if name.endswith((" by ours", " by fixed", " as shipped"))]
    least = LEAST["HQNR"]
    above = [n for n in ours if _hqnr(contenders[n]) > _hqnr(contenders[best]) + least]
    below = [n for n in ours if _hqnr(contenders[n]) < _hqnr(contenders[best]) - least]
    against = (
        f"HQNR is above that of {best}, the highest of the classical methods, for {_named(above)}, "
        f"and below it for {_named(below)}; one seed each, {least} is the least that counts."
    )
    sharp = [n for n in ours if 0.95 <= _mean(contenders[n], "S") <= 1.05]
    return Answer(
        question="And at full resolution, and against known truth?",
        columns="HQNR (as it came, and on the registered PAN), S and C over GSA's: means over the "
        "sensors that have a pair at full resolution. Known truth: scenes of NEON tiles of 10 cm "
        "(`simgen known`); ERGAS over GSA's, S and C over the truth's.",
        table=pipe_table(
            [
                *("method", "HQNR", "HQNR_reg", "S", "C / GSA"),
                *("known: ERGAS / GSA", "S / truth", "C / truth"),
            ],
            rows,
        ),
        sentences=(against, f"S lies in .95 to 1.05 for {_named(sharp)}."),
    )


def every_band(scores: Scores) -> Answer | None:
    """Any-band networks on the bands of WorldView-2 and -3; None where nothing has them."""
    rows = []
    for name, record in _contenders(scores):
        values = scores.every_band(record)
        if name not in classical_names() and values:
            rows.append([name, *(f"{values[s]:.3f}" for s in values)])
            sensors = list(values)
    if not rows:
        return None
    lower = [row[0] for row in rows if all(float(v) < 1 - LEAST["ERGAS"] for v in row[1:])]
    return Answer(
        question="Every band, where a network takes any?",
        columns="Zero-shot on all bands at once, over the best classical method on the same.",
        table=pipe_table(["network", *sensors], rows),
        sentences=(
            f"ERGAS is lower than the best classical method's on both for {_named(lower)}.",
        ),
    )


def _contenders(scores: Scores) -> Iterator[tuple[str, Record]]:
    """Names and records of what was scored whole."""
    for name in classical_names():
        yield from ((name, r) for r in scores.results.where(network=name, tuning="classical"))
    yield from ((SHIPPED, record) for record in scores.results.where(network=SHIPPED))
    for name in scores.networks:
        for label, recipe, kind in (
            ("by paper", "paper", BOTH),
            ("by ours", "ours", BOTH),
            ("by fixed", FIXED, BOTH),
            ("as shipped", LONG, OPEN),
        ):
            found = scores.results.where(
                network=name, tuning="zero-shot", recipe=recipe, images=kind
            )
            yield from ((f"{name} {label}", record) for record in found if "full" in record)


def _cells(scores: Scores, record: Record) -> list[str]:
    (gsa,) = scores.results.where(network=GSA, tuning="classical")
    full = gsa["full"]
    shares = [
        record["full"][sensor]["C"] / full[sensor]["C"] for sensor in full if full[sensor]["C"] > 0
    ]
    cells = [
        *(f"{_mean(record, index):.3f}" for index in ("HQNR", "HQNR_reg", "S")),
        f"{_geometric(shares):.2f}",
    ]
    known = record["known"]
    if not known:
        return [*cells, NONE, NONE, NONE]
    ergas = [known[name]["ERGAS"] / gsa["known"][name]["ERGAS"] for name in known]
    cells.append(f"{_geometric(ergas):.3f}")
    return cells + [
        f"{_geometric([one[index] for one in known.values()]):.2f}"
        for index in ("S/truth", "C/truth")
    ]


def _named(names: list[str]) -> str:
    return listed(names) if names else "none"


def _hqnr(record: Record) -> float:
    return _mean(record, "HQNR")


def _mean(record: Record, index: str) -> float:
    values = [one[index] for one in record["full"].values()]
    return fmean(values) if values else math.nan


def _geometric(values: list[float]) -> float:
    return math.exp(fmean(map(math.log, values))) if values else math.nan
