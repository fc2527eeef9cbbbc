"""What pretraining, simulation and images give, zero-shot."""

from functools import partial

from bench.study.seed.answer import GIVE, Answer, cell, listed, own_ground, sentence
from bench.study.seed.plan import BOTH, FIXED, KINDS, LONG, NETWORKS
from bench.study.seed.scores import ONE_SENSOR, Scores, Value, sorted_by
from fusiontrain.evaluation.tables import pipe_table


def pretraining(scores: Scores) -> Answer:
    """Own and other ground: from scratch on one pair, zero-shot, tuned."""
    rows = []
    for name in scores.networks:
        own = scores.learnt_on(name)
        for ground in ("own", "others") if own else ():
            elsewhere = ground == "others"
            on = partial(scores.on_one_pair, name, sensors=own, elsewhere=elsewhere)
            where = scores.sensors if elsewhere else own
            cells: list[Value | None] = [
                on("brief"),
                on("scratch"),
                scores.zero_shot(name, "paper", sensors=where),
                scores.zero_shot(name, "ours", sensors=where),
                on("full", recipe="ours"),
                on("full", recipe=LONG),
            ]
            label = f"{NETWORKS[name].family}: {name}"
            rows.append([label, str(len(own)), ground, *map(cell, cells)])
    heads = ["scratch, brief", "scratch", "zero-shot, paper", "zero-shot, ours"]
    heads += ["ours, then full", "shipped, then full"]
    table = pipe_table(["network", "sensors", "ground", *heads], rows)
    return Answer(
        question="Does pretraining help each family?",
        columns="Own: the ground of the sensors whose pair was learnt from, the pair itself left "
        "out. Others: the other sensors (zero-shot: all). Scratch, brief: on one pair, as many "
        "crops as a tuning; scratch: as many as pretraining and tuning. ERGAS over the best "
        "classical method.",
        table=table,
        sentences=(
            *(
                sentence(
                    scores,
                    "On a sensor's own ground, pretraining by ours and full tuning",
                    rival,
                    lambda name, kind=kind: (  # type: ignore[misc]
                        own_ground(scores, name, "full", "ours"),
                        own_ground(scores, name, kind, None),
                    ),
                    ("full", kind),
                )
                for kind, rival in (
                    ("brief", "training from scratch on as many crops of the pair"),
                    ("scratch", "training from scratch on as many crops in all"),
                )
            ),
            sentence(
                scores,
                "There the shipped weights and full tuning",
                "training from scratch on one pair",
                lambda name: (
                    own_ground(scores, name, "full", LONG),
                    own_ground(scores, name, "scratch", None),
                ),
                ("full", "scratch"),
                verbs=GIVE,
            ),
            sentence(
                scores,
                "On the other sensors, zero-shot by ours",
                "the network that learnt from one pair",
                lambda name: (
                    scores.zero_shot(name, "ours"),
                    own_ground(scores, name, "scratch", None, elsewhere=True),
                ),
                ("zero-shot", "scratch"),
            ),
        ),
    )


def simulation(scores: Scores) -> Answer:
    """Sensor by sensor, both kinds of images: `paper` and ours."""
    rows = []
    for name in scores.networks:
        for recipe in ("paper", "ours", FIXED):
            if scores.zero_shot(name, recipe) is None:
                continue
            each = [
                cell(scores.zero_shot(name, recipe, sensors=[sensor])) for sensor in scores.sensors
            ]
            rows.append([name, recipe, *each, cell(scores.zero_shot(name, recipe))])
    table = pipe_table(["network", "recipe", *scores.sensors, "mean"], rows)
    sentences = [
        sentence(
            scores,
            f"Over all sensors, pretraining by {word}",
            "pretraining by `paper`",
            lambda name, by=recipe: (  # type: ignore[misc]
                scores.zero_shot(name, by),
                scores.zero_shot(name, "paper"),
            ),
            ("zero-shot",),
        )
        for recipe, word in (("ours", "ours"), (FIXED, "`sensor-fixed`"))
    ]
    ahead = {kind: [] for kind in ("lower", "higher", "equal")}  # type: dict[str, list[str]]
    for sensor in scores.sensors:
        kinds = sorted_by(
            scores.networks,
            lambda name, at=sensor: (  # type: ignore[misc]
                scores.zero_shot(name, "ours", sensors=[at]),
                scores.zero_shot(name, "paper", sensors=[at]),
            ),
            lambda one, other, name: scores.counts(one, other, (ONE_SENSOR,), name),
        )
        for kind, found in kinds.items():
            if len(found) == sum(map(len, kinds.values())):
                ahead[kind].append(sensor)
    for kind, word in (("lower", "Ours"), ("higher", "`paper`")):
        if ahead[kind]:
            sentences.append(f"{word} is ahead for every network on {listed(ahead[kind])}.")
    return Answer(
        question="Which simulation, zero-shot?",
        columns="Both kinds of images; ERGAS over the best classical method. Fixed: ours for "
        "networks that get values alone (`sensor-fixed`): middling optics, plain radiometry.",
        table=table,
        sentences=tuple(sentences),
    )


def images(scores: Scores) -> Answer:
    """Photographs, remote-sensing images, both; by recipe."""
    kinds = [*KINDS, BOTH]
    names = [n for n in scores.networks if scores.zero_shot(n, "ours", next(iter(KINDS)))]
    rows = [
        [name, recipe, *(cell(scores.zero_shot(name, recipe, kind)) for kind in kinds)]
        for name in names
        for recipe in ("paper", "ours")
    ]
    sentences = [
        sentence(
            scores,
            f"By {word}, remote-sensing images",
            "photographs",
            lambda name, by=recipe: (  # type: ignore[misc]
                scores.zero_shot(name, by, "remote sensing"),
                scores.zero_shot(name, by, "photographs"),
            ),
            ("zero-shot",),
            names,
            verbs=GIVE,
        )
        for recipe, word in (("ours", "ours"), ("paper", "`paper`"))
    ]
    return Answer(
        question="Which images?",
        columns="Zero-shot over all sensors, as many crops of each; `both` is half and half.",
        table=pipe_table(["network", "recipe", *kinds], rows),
        sentences=tuple(sentences),
    )
