"""Numbers of the report: ratios to the best classical method, means, and what differences count."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, variance
from typing import Any

from bench.study.seed.plan import BOTH, NETWORKS, SCRATCH, SENSORS, TUNINGS
from bench.study.seed.results import Record, Results

LEAST = {"ERGAS": 0.008, "HQNR": 0.003}  # of one seed's difference, of ERGAS a share
Fields = dict[str, Any]
ONE_SENSOR = "zero-shot on one sensor"  # a kind of spread


@dataclass(frozen=True, kw_only=True, slots=True)
class Value:
    """A logarithm of a ratio of ERGAS, a mean over sensors, of one seed or a mean over several."""

    log: float
    seeds: int = 1

    @property
    def ratio(self) -> float:
        return math.exp(self.log)

    def __str__(self) -> str:
        return f"{self.ratio:.3f}"


class Scores:
    """The results as logarithms of ERGAS over the best classical method of each case."""

    def __init__(self, results: Results) -> None:
        self.results = results
        self.best = _best(results.where(tuning="classical"), "reduced")
        self.best_of_every_band = _best(results.where(tuning="classical"), "every band")
        self.sensors = [name for name in SENSORS if any(name in r for r in self._reduced())]
        self.networks = [name for name in NETWORKS if results.where(network=name)]
        self._spreads: dict[tuple[str, str], float] = {}
        for kind in ("zero-shot", ONE_SENSOR, *SCRATCH, *TUNINGS):
            for network in ("", *self.networks):
                self._spreads[kind, network] = self._pooled(kind, network)

    def _reduced(self) -> Iterable[dict[str, Any]]:
        return (record["reduced"] for record in self.results.where(tuning="classical"))

    def on(self, record: Record, sensor: str) -> float:
        """Mean over the sensor's scenes."""
        cases = record["reduced"][sensor]
        return fmean(math.log(v["ERGAS"] / self.best[name]) for name, v in cases.items())

    def mean(self, record: Record, sensors: Sequence[str]) -> float:
        return fmean(self.on(record, sensor) for sensor in sensors)

    def value(self, record: Record, sensor: str) -> float:
        """ERGAS itself, geometric mean over the sensor's scenes."""
        return math.exp(fmean(math.log(v["ERGAS"]) for v in record["reduced"][sensor].values()))

    def lowest(self, sensor: str) -> float:
        """The best classical ERGAS of each scene, geometric mean over the sensor's."""
        return math.exp(fmean(math.log(self.best[name]) for name in self._names(sensor)))

    def first_best(self, sensor: str) -> float:
        """That of the sensor's first scene, which curves are of."""
        return self.best[self._names(sensor)[0]]

    def _names(self, sensor: str) -> list[str]:
        return list(self.results.where(tuning="classical")[0]["reduced"][sensor])

    def zero_shot(self, network: str, recipe: str, images: str = BOTH, **more: Any) -> Value | None:
        """Over `sensors`, all by default; the mean of all seeds."""
        sensors = more.pop("sensors", self.sensors)
        found = self.results.where(
            network=network, tuning="zero-shot", recipe=recipe, images=images, **more
        )
        logs = [self.mean(record, sensors) for record in found]
        return Value(log=fmean(logs), seeds=len(logs)) if logs else None

    def on_one_pair(
        self,
        network: str,
        tuning: str,
        *,
        elsewhere: bool,
        sensors: Sequence[str],
        recipe: str | None = None,
    ) -> Value | None:
        """Over the sensors whose pair was learnt from: on their own ground, or on all others'.

        Seed by seed where a sensor has several; None unless all `sensors` are there.
        """
        logs = []
        for sensor in sensors:
            fields = {"network": network, "tuning": tuning, "sensor": sensor}
            found = self.results.where(**fields | ({"recipe": recipe} if recipe else {}))
            where = [name for name in self.sensors if (name != sensor) == elsewhere]
            if not found or not where:
                return None
            logs.append(fmean(self.mean(record, where) for record in found))
        return Value(log=fmean(logs)) if logs else None

    def learnt_on(self, network: str) -> list[str]:
        """Sensors that the network was trained on from scratch, and tuned on."""
        return [
            sensor
            for sensor in self.sensors
            if all(
                self.results.where(network=network, tuning=tuning, sensor=sensor)
                for tuning in (*SCRATCH, *TUNINGS)
            )
        ]

    def counts(self, one: Value, other: Value, kinds: Sequence[str], network: str) -> bool:
        """Whether a difference is over two spreads of either kind, and the least that counts."""
        spread = max(self.spread(kind, network) for kind in kinds)
        return abs(one.log - other.log) > max(2 * spread, math.log1p(LEAST["ERGAS"]))

    def spread(self, kind: str, network: str = "") -> float:
        """Standard deviation over seeds, of the network or, where it has one seed, of all pooled.

        0 where nothing has several seeds.
        """
        return self._spreads.get((kind, network)) or self._spreads.get((kind, ""), 0.0)

    def _pooled(self, kind: str, network: str) -> float:
        """Of zero-shot, means over all sensors, or each sensor; of the others, their own ground."""
        groups: dict[tuple[Any, ...], list[float]] = {}
        tuning = "zero-shot" if kind == ONE_SENSOR else kind
        for cell, record in self.results:
            wanted = cell["network"] in ((network,) if network else NETWORKS)
            if cell["tuning"] != tuning or not wanted:
                continue
            key = (cell["network"], cell["recipe"], cell["images"], cell["sensor"])
            where = [cell["sensor"]] if cell["sensor"] else self.sensors
            for part in [[sensor] for sensor in where] if kind == ONE_SENSOR else [where]:
                groups.setdefault((*key, *part), []).append(self.mean(record, part))
        several = [variance(logs) for logs in groups.values() if len(logs) > 1]
        return math.sqrt(fmean(several)) if several else 0.0

    def every_band(self, record: Record) -> dict[str, float]:
        """Sensor -> ERGAS of all its bands over the best classical method's."""
        return {
            sensor: math.exp(
                fmean(
                    math.log(v["ERGAS"] / self.best_of_every_band[name])
                    for name, v in cases.items()
                )
            )
            for sensor, cases in record.get("every band", {}).items()
        }


def _best(records: Sequence[Record], part: str) -> dict[str, float]:
    best: dict[str, float] = {}
    for record in records:
        for cases in record.get(part, {}).values():
            for name, values in cases.items():
                best[name] = min(best.get(name, math.inf), values["ERGAS"])
    return best


def sorted_by(
    names: Iterable[str],
    pair: Callable[[str], tuple[Value | None, Value | None]],
    counts: Callable[[Value, Value, str], bool],
) -> dict[str, list[str]]:
    """Names by whether the first of their pair is "lower", "higher" or "equal"; no others."""
    kinds: dict[str, list[str]] = {"lower": [], "higher": [], "equal": []}
    for name in names:
        one, other = pair(name)
        if one is None or other is None:
            continue
        kind = "lower" if one.log < other.log else "higher"
        kinds[kind if counts(one, other, name) else "equal"].append(name)
    return kinds
