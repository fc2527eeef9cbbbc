"""An answer of the report: a table, and the sentences that its figures give."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bench.study.seed.plan import TUNINGS
from bench.study.seed.scores import Scores, Value, sorted_by

NONE = "-"
GIVES = ("gives lower ERGAS than", "gives higher ERGAS than", "is equal to")
GIVE = ("give lower ERGAS than", "give higher ERGAS than", "are equal to")
Pair = Callable[[str], tuple[Value | None, Value | None]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """One question of the report. `sentences` are made of the table's figures alone."""

    question: str
    columns: str  # what they are
    table: str
    sentences: tuple[str, ...]

    def __str__(self) -> str:
        answer = " ".join(self.sentences)
        return f"## {self.question}\n\n{self.columns}\n\n{self.table}\n\n**Answer.** {answer}\n"


def own_ground(
    scores: Scores, name: str, kind: str, recipe: str | None, *, elsewhere: bool = False
) -> Value | None:
    sensors = tuned_on(scores, name, recipe) if recipe else scores.learnt_on(name)
    if not sensors:
        return None
    return scores.on_one_pair(name, kind, elsewhere=elsewhere, sensors=sensors, recipe=recipe)


def tuned_on(scores: Scores, name: str, recipe: str) -> list[str]:
    return [
        sensor
        for sensor in scores.sensors
        if all(
            scores.results.where(network=name, tuning=kind, sensor=sensor, recipe=recipe)
            for kind in TUNINGS
        )
    ]


def sentence(
    scores: Scores,
    subject: str,
    rival: str,
    pair: Pair,
    kinds: Sequence[str],
    names: Iterable[str] | None = None,
    *,
    verbs: Sequence[str] = GIVES,
) -> str:
    def counts(one: Value, other: Value, name: str) -> bool:
        return scores.counts(one, other, kinds, name)

    found = sorted_by(names or scores.networks, pair, counts)
    parts = [
        f"{verb} {rival} for {listed(found[which])}"
        for which, verb in zip(("lower", "higher", "equal"), verbs, strict=True)
        if found[which]
    ]
    return f"{subject} {'; '.join(parts)}." if parts else f"{subject}: not run."


def listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def cell(value: Value | None) -> str:
    return NONE if value is None else str(value)
