"""A part of the study: the seed paper's six sensors by simulation, WorldView-4 among them.

Samples of the demo's photographs, which the shipped weights were not trained on, as each sensor
sees them by its published MTF; the truth is known. Every sample is scored with all classical
methods, plain and on a PAN blurred as the MS is.
"""

import argparse
import json
from pathlib import Path
from statistics import fmean
from typing import Any

from bench.study.runs import save
from fusiontrain.classical import METHODS
from fusiontrain.data.shard_file import ShardRef, read_sample
from fusiontrain.evaluation.best_classical import PLAIN_AND_SOFT, best_classical_baseline
from fusiontrain.evaluation.contenders import Contender, classical, load_networks, score
from fusiontrain.evaluation.protocols import simulated
from fusiontrain.evaluation.tables import Row
from shards.manifest import NAME, Manifest
from shards.sensors import find_sensor
from simgen.building.build import run_build
from simgen.config import Build
from simgen.recipes import find_recipe

# Bands as the paper's: those of the sensor's own products.
SENSORS = {
    "WorldView-2": 8,
    "WorldView-3": 8,
    "WorldView-4": 4,
    "IKONOS": 4,
    "QuickBird": 4,
    "GaoFen-2": 4,
}
DRAWS = 3  # samples a photograph


def sensors(args: argparse.Namespace) -> str:
    """Each sensor's samples, and over the best classical method of each."""
    folder = args.work / "sensors"
    folder.mkdir(parents=True, exist_ok=True)
    (own,) = load_networks([args.weights])
    contenders = [*classical(list(METHODS)), own]
    for name in SENSORS:
        path = folder / f"{name}.json"
        if path.exists() or args.table or (args.only and name not in args.only):
            continue
        save(path, {"rows": _scored(_built(args, name), name, contenders)})
        print(f"sensors: {name}", flush=True)
    return _table(folder)


def _built(args: argparse.Namespace, sensor: str) -> Path:
    recipe = find_recipe("sensor")
    out: Path = args.work / "shards" / f"like-{sensor}"
    if not (out / NAME).exists():
        run_build(
            Build(
                dataset="demo",
                source=None,
                out=out,
                recipe=recipe.with_fields(tile=args.tile, like_sensor=find_sensor(sensor)),
                bands=(SENSORS[sensor],),
                draws=DRAWS,
                shard_size=64,
            ),
            workers=1,
        )
    return out


def _scored(build: Path, sensor: str, contenders: list[Contender]) -> list[dict[str, Any]]:
    manifest = Manifest.load(build)
    rows: list[dict[str, Any]] = []
    for shard in manifest.shards:
        listed = ShardRef(folder=build, manifest=manifest, row=shard)
        for number in range(shard.samples):
            case = simulated(read_sample(listed, number), f"{sensor} {len(rows)}")
            rows += [
                {"scene": case.name, "sensor": sensor, "method": one.method, "indices": one.indices}
                for one in score(case, contenders)
            ]
    return rows


def _table(folder: Path) -> str:
    head = "sensor, simulated | samples | ERGAS | ERGAS / best | SAM / best | Q2n - best"
    lines = [f"| {head} | better in ERGAS on |", "|---|---|---|---|---|---|---|"]
    for name, bands in SENSORS.items():
        path = folder / f"{name}.json"
        if not path.exists():
            continue
        rows = [Row(protocol="reduced", **one) for one in json.loads(path.read_text())["rows"]]
        baselines = {
            one.index: one for one in best_classical_baseline(rows) if one.rivals == PLAIN_AND_SOFT
        }
        own = [row.indices["ERGAS"] for row in rows if row.method == baselines["ERGAS"].network]
        best = (f"{baselines[index].mean:.3f}" for index in ("ERGAS", "SAM", "Q2n"))
        lines.append(
            f"| {name}, {bands} bands | {len(own)} | {fmean(own):.3f} | {' | '.join(best)} "
            f"| {baselines['ERGAS'].better} of {baselines['ERGAS'].scenes} |"
        )
    return "\n".join(lines)
