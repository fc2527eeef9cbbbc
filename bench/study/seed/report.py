"""The report: what was run, the answers, published figures beside them, what was not run."""

import csv
from pathlib import Path

from bench.study.seed.one_pair import domain_gap, tuning
from bench.study.seed.plan import (
    BATCH,
    CROP,
    IMAGES,
    METHODS,
    NETWORKS,
    RECIPES,
    SCRATCH,
    SENSORS,
    TUNING_STEPS,
    TUNINGS,
    classical_names,
    plan,
)
from bench.study.seed.quality import every_band, full_resolution
from bench.study.seed.questions import images, pretraining, simulation
from bench.study.seed.results import Results
from bench.study.seed.scores import LEAST, ONE_SENSOR, Scores
from fusiontrain.evaluation.tables import pipe_table
from fusiontrain.models.registry import build_model, find_model
from shards.errors import PanpriorError

PEERS = Path(__file__).parents[3] / "docs" / "reports" / "peers.csv"
CURVES = """## ERGAS over training time

![ERGAS over the best classical method, against seconds of processor time](seed.webp)

Mean over the sensors' first scenes. The learning rate falls to the end of each run, so that a curve
is one run, not several of other lengths.
"""
NOT_RUN = """## What was not run

- Published sizes of SwinIR, GPPNN and Pan-Mamba: the table of networks says what was taken. At a
  quarter of its width the published Pan-Mamba takes 7 times the time of the any-band form.
- PanFormer, FusionMamba and the other networks of the registry; images of SkyScript.
- Budgets at which these networks stop improving: rankings of families are of this budget.
- WorldView-4 at full resolution: there is no pair of it. That of WorldView-3 has 128 PAN pixels a
  side.
"""
TEXT = Path(__file__).with_name("report.md")  # its prose, with figures to be filled in


def make_report(results: Results) -> str:
    """Markdown. Raises: PanpriorError where not even the classical methods were scored."""
    if len(results.where(tuning="classical")) < len(classical_names()):
        raise PanpriorError("the classical methods are not scored yet: run without --table first")
    scores = Scores(results)
    answers = [pretraining, simulation, images, tuning, domain_gap, full_resolution, every_band]
    parts = [_setting(scores), _networks(scores)]
    parts += [str(answer) for ask in answers if (answer := ask(scores)) is not None]
    parts += [CURVES, _classical(scores), _published(), _not_run(results)]
    return "\n".join(part for part in parts if part)


def _setting(scores: Scores) -> str:
    cells = list(scores.results)
    spreads = ", ".join(
        f"{kind} {100 * scores.spread(kind):.1f} %" if scores.spread(kind) else f"{kind} not known"
        for kind in ("zero-shot", ONE_SENSOR, *SCRATCH, *TUNINGS)
    )
    return TEXT.read_text().format(
        trained=sum("seconds" in record for _, record in cells),
        minutes=f"{sum(record.get('seconds', 0.0) for _, record in cells) / 60:.0f}",
        crops=max((cell["crops"] for cell, _ in cells), default=0),
        side=CROP,
        batch=BATCH,
        tuning=TUNING_STEPS * BATCH,
        recipes=" and ".join(f"{name} (`{recipe}`)" for name, recipe in RECIPES.items()),
        images=IMAGES,
        sensors=", ".join(scores.sensors),
        methods=", ".join(METHODS),
        spreads=spreads,
        ergas=f"{100 * LEAST['ERGAS']:.1f}",
        hqnr=LEAST["HQNR"],
    )


def _networks(scores: Scores) -> str:
    rows = []
    for name in scores.networks:
        network = NETWORKS[name]
        net = build_model(network.model, **{**find_model(network.model).sizes, **network.sizes})
        trained = [r for r in scores.results.where(network=name) if r.get("curve")]
        seeds = {cell["seed"] for cell, _ in scores.results if cell["network"] == name}
        cost = "-"
        if trained:
            crops = BATCH * sum(r["steps"] for r in trained)
            cost = f"{1000 * sum(r['seconds'] for r in trained) / crops:.0f}"
        rows.append(
            [
                *(
                    name,
                    network.family,
                    network.form,
                    f"{sum(p.numel() for p in net.parameters()):,}",
                ),
                *(cost, str(len(seeds))),
            ]
        )
    heads = ["network", "family", "form", "parameters", "s per 1000 crops", "seeds"]
    return pipe_table(heads, rows) + "\n"


def _classical(scores: Scores) -> str:
    rows = []
    for name in classical_names():
        (record,) = scores.results.where(network=name, tuning="classical")
        rows.append([name, *(f"{scores.value(record, s):.3f}" for s in scores.sensors)])
    best = [f"{scores.lowest(sensor):.3f}" for sensor in scores.sensors]
    return (
        "## The classical methods\n\nERGAS itself, geometric mean over the sensor's scenes.\n\n"
        + pipe_table(["method", *scores.sensors], [*rows, ["best of each scene", *best]])
        + "\n"
    )


def _published() -> str:
    """Rows of docs/reports/peers.csv on the same scenes, whole and by other programs."""
    if not PEERS.is_file():
        return ""
    scenes = {scene for named in SENSORS.values() for scene in named}
    with PEERS.open(newline="") as file:
        rows = [
            [row["scene"], row["method"], row["ERGAS"], row["SAM"]]
            for row in csv.DictReader(file)
            if row["scene"] in scenes and row["protocol"] == "reduced" and row["ERGAS"]
        ]
    return (
        "## Published networks on the same scenes\n\nFrom [peers.csv](peers.csv), the authors' "
        "weights in another harness on whole scenes: they stand beside the figures above, not "
        "against them.\n\n" + pipe_table(["scene", "network", "ERGAS", "SAM"], rows) + "\n"
    )


def _not_run(results: Results) -> str:
    seeds = sorted({cell["seed"] for cell, _ in results})
    crops = max((cell["crops"] for cell, _ in results), default=0)
    sensors = Scores(results).sensors
    missing = [c for c in plan(list(NETWORKS), sensors, seeds, crops) if c.key not in results]
    if missing:
        shown = "; ".join(map(str, missing[:6]))
        more = f" and {len(missing) - 6} more" if len(missing) > 6 else ""
        return NOT_RUN + f"- {len(missing)} cells of the whole plan: {shown}{more}.\n"
    return NOT_RUN
