"""Builds beside real scenes: the same statistics of both, and one distance for each."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from simgen.errors import SourceError
from simgen.realism.distance import Values, wasserstein
from simgen.realism.pairs import REAL, Pair
from simgen.realism.statistics import STATISTICS, measure

LEVELS = ("ms_mean", "ms_spread", "pan_mean", "pan_spread")  # given by bit depth too
_SPLITS = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """One pair's numbers, without its pixels."""

    group: str
    bands: int
    bits: int
    numbers: Mapping[str, np.ndarray]


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """One build, or all real scenes: weighted values by statistic, and levels by bit depth."""

    name: str
    pairs: int
    values: Mapping[str, Values]
    by_bits: Mapping[int, Mapping[str, Values]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Distances are in units of each statistic's scale."""

    real: Side
    builds: tuple[Side, ...]
    distances: Mapping[str, Mapping[str, float]]  # build -> statistic -> distance
    between_real: Mapping[str, float]  # that of one half of the scenes to the other, on average
    scenes: Mapping[str, int]  # tiles by scene


def measured(pairs: Iterable[Pair]) -> list[Measured]:
    """All statistics of all pairs; of a generator's, one is in memory at a time."""
    return [Measured(group=p.group, bands=p.bands, bits=p.bits, numbers=measure(p)) for p in pairs]


def compare(real: list[Measured], builds: Mapping[str, list[Measured]]) -> Comparison:
    """Like with like: every scene weighs the same, and so does each band count on both sides.

    Scenes of band counts that a build lacks are left out for all builds; samples of band counts
    that no scene has are not counted.
    Raises: SourceError if no band count is left, or a statistic could be measured on no pair.
    """
    common = {m.bands for m in real}.intersection(*({m.bands for m in b} for b in builds.values()))
    kept = [m for m in real if m.bands in common]
    if not kept:
        raise SourceError(
            f"no scene has bands as the builds do: scenes {_counts(real)}; "
            + "; ".join(f"{name} {_counts(b)}" for name, b in builds.items())
            + "\n  do: build shards with the scenes' band counts"
        )
    weights = _by_scene(kept)
    shares: defaultdict[int, float] = defaultdict(float)
    for m, weight in zip(kept, weights, strict=True):
        shares[m.bands] += weight
    truth = _side(REAL, kept, weights)
    sides = []
    for name, samples in builds.items():
        used = [m for m in samples if m.bands in common]
        count = Counter(m.bands for m in used)
        sides.append(_side(name, used, [shares[m.bands] / count[m.bands] for m in used]))
    return Comparison(
        real=truth,
        builds=tuple(sides),
        distances={side.name: _distances(side, truth) for side in sides},
        between_real=_between(kept),
        scenes=Counter(m.group for m in kept),
    )


def _side(name: str, pairs: list[Measured], weights: list[float]) -> Side:
    return Side(
        name=name,
        pairs=len(pairs),
        values=_gathered(name, pairs, weights, [s.name for s in STATISTICS]),
        by_bits={
            bits: _gathered(
                name,
                [m for m in pairs if m.bits == bits],
                [w for m, w in zip(pairs, weights, strict=True) if m.bits == bits],
                LEVELS,
            )
            for bits in sorted({m.bits for m in pairs})
        },
    )


def _gathered(
    name: str, pairs: list[Measured], weights: list[float], statistics: Iterable[str]
) -> dict[str, Values]:
    found = {}
    for statistic in statistics:
        parts = [(m.numbers[statistic], w) for m, w in zip(pairs, weights, strict=True)]
        if not any(np.isfinite(part).any() for part, _ in parts):
            raise SourceError(
                f"{statistic} could be measured on none of {len(pairs)} pairs of {name}: "
                "are they flat?"
            )
        found[statistic] = Values.gather(parts)
    return found


def _by_scene(pairs: list[Measured]) -> list[float]:
    tiles = Counter(m.group for m in pairs)
    return [1 / (len(tiles) * tiles[m.group]) for m in pairs]


def _distances(side: Side, truth: Side) -> dict[str, float]:
    return {
        s.name: wasserstein(side.values[s.name], truth.values[s.name]) / s.scale for s in STATISTICS
    }


def _between(pairs: list[Measured]) -> dict[str, float]:
    """How far one random half of the scenes is from the other: what no build need go below."""
    scenes = sorted({m.group for m in pairs})
    if len(scenes) < 2:
        return dict.fromkeys((s.name for s in STATISTICS), float("nan"))
    rng = np.random.default_rng(0)
    sums: defaultdict[str, float] = defaultdict(float)
    for _ in range(_SPLITS):
        first = set(rng.permutation(scenes)[: len(scenes) // 2].tolist())
        halves = [[m for m in pairs if (m.group in first) is side] for side in (True, False)]
        a, b = (_gathered(REAL, h, _by_scene(h), [s.name for s in STATISTICS]) for h in halves)
        for s in STATISTICS:
            sums[s.name] += wasserstein(a[s.name], b[s.name]) / s.scale / _SPLITS
    return dict(sums)


def _counts(pairs: list[Measured]) -> str:
    return ", ".join(str(bands) for bands in sorted({m.bands for m in pairs}))
