"""What one pair of a sensor gives: tuning, forgetting, and the distance to zero-shot."""

from functools import partial

from bench.study.seed.answer import NONE, Answer, cell, own_ground, sentence, tuned_on
from bench.study.seed.plan import BOTH, LONG, OPEN, TUNINGS
from bench.study.seed.scores import Scores, Value
from fusiontrain.evaluation.tables import pipe_table


def tuning(scores: Scores) -> Answer:
    """Full and freeze, from the short pretraining and from the shipped weights."""
    rows = []
    for name in scores.networks:
        for recipe, label in (("ours", "short"), (LONG, "shipped weights")):
            own = tuned_on(scores, name, recipe)
            if not own:
                continue
            kind = BOTH if recipe == "ours" else OPEN
            for ground in ("own", "others"):
                elsewhere = ground == "others"
                where = scores.sensors if elsewhere else own
                before = scores.zero_shot(name, recipe, kind, sensors=where)
                after = [own_ground(scores, name, t, recipe, elsewhere=elsewhere) for t in TUNINGS]
                rows.append([name, label, str(len(own)), ground, *map(cell, [before, *after])])
    heads = ["network", "pretraining", "sensors", "ground", "before", *TUNINGS]
    table = pipe_table(heads, rows)
    own = partial(own_ground, scores)
    sentences = []
    for recipe, label in (("ours", "a short pretraining"), (LONG, "the shipped weights")):
        sentences += [
            sentence(
                scores,
                f"From {label}, on the sensor's own ground, full tuning",
                "freeze-tuning",
                lambda n, r=recipe: (own(n, "full", r), own(n, "freeze", r)),  # type: ignore[misc]
                TUNINGS,
            ),
            sentence(
                scores,
                "After full tuning, the other sensors",
                "before it",
                lambda n, r=recipe: (  # type: ignore[misc]
                    own(n, "full", r, elsewhere=True),
                    scores.zero_shot(n, r, BOTH if r == "ours" else OPEN),
                ),
                ("full", "zero-shot"),
                verbs=("have lower ERGAS than", "have higher ERGAS than", "are as"),
            ),
        ]
    return Answer(
        question="Full or freeze, and what is forgotten?",
        columns="One-shot: one pair of the sensor by Wald's protocol. ERGAS over the best "
        "classical method, on own ground and on the other sensors.",
        table=table,
        sentences=tuple(sentences),
    )


def domain_gap(scores: Scores) -> Answer:
    """Each sensor: zero-shot beside what one pair of it gives."""
    rows, words = [], []
    for name in scores.networks:
        for label, recipe, kind in (("zero-shot, ours", "ours", BOTH), ("shipped", LONG, OPEN)):
            if scores.zero_shot(name, recipe, kind):
                each = [
                    cell(scores.zero_shot(name, recipe, kind, sensors=[s])) for s in scores.sensors
                ]
                rows.append([name, label, *each])
        for label, kind, recipe in (
            ("scratch on its pair", "scratch", None),
            ("ours, then full", "full", "ours"),
            ("shipped, then full", "full", LONG),
        ):
            each = [
                cell(scores.on_one_pair(name, kind, elsewhere=False, sensors=[s], recipe=recipe))
                for s in scores.sensors
            ]
            if set(each) != {NONE}:
                rows.append([name, label, *each])
        words += _gap(scores, name)
    return Answer(
        question="How far is zero-shot from in-sensor?",
        columns="ERGAS on each sensor's own ground, over the best classical method.",
        table=pipe_table(["network", "trained", *scores.sensors], rows),
        sentences=tuple(words),
    )


def _gap(scores: Scores, name: str) -> list[str]:
    """Zero-shot's ERGAS over that of the best that its own pair gave, a mean over sensors."""
    for recipe, kind, word in ((LONG, OPEN, "shipped weights"), ("ours", BOTH, "short")):
        own = tuned_on(scores, name, recipe)
        zero = scores.zero_shot(name, recipe, kind, sensors=own) if own else None
        full = own_ground(scores, name, "full", recipe)
        if zero is None or full is None:
            continue
        percent = 100 * (1 - Value(log=full.log - zero.log).ratio)
        counts = scores.counts(zero, full, ("full", "zero-shot"), name)
        much = "" if counts else ", which does not count"
        return [f"{name} ({word}): tuning on one pair lowers ERGAS by {percent:.1f} %{much}."]
    return []
