"""A part of the study: the seed paper's own experiment, pretraining of published networks.

Each network is trained from scratch on one pair of a sensor, pretrained on simulated sensors by
recipe and kind of images, and tuned on one pair; every result is judged on six sensors.
plan.py lists the cells; ground.py cuts the scenes; cells.py trains and scores; report.py writes.
"""

import argparse
import sys
import time
from pathlib import Path

from bench.study.seed.cells import run_cell
from bench.study.seed.figure import draw_curves
from bench.study.seed.ground import read_grounds, read_known
from bench.study.seed.plan import NETWORKS, SENSORS, TILE, plan
from bench.study.seed.report import make_report
from bench.study.seed.results import Results
from shards.errors import PanpriorError


def seed(args: argparse.Namespace) -> str:
    """Every cell that is not there yet, in the plan's order; then the report."""
    args = argparse.Namespace(**vars(args) | {"tile": TILE})
    networks, sensors = _chosen(args.networks, NETWORKS), _chosen(args.sensors, SENSORS)
    folder = args.work / "seed"
    folder.mkdir(parents=True, exist_ok=True)
    results = Results(folder / "results.jsonl")
    if not args.table:
        _run(args, folder, results, networks, sensors)
    text = make_report(results)
    report: Path = args.report or folder / "seed.md"
    report.write_text(text)
    draw_curves(results, report.with_suffix(".webp"))
    return text


def _run(
    args: argparse.Namespace,
    folder: Path,
    results: Results,
    networks: list[str],
    sensors: list[str],
) -> None:
    if args.photos is None:
        raise PanpriorError("this part trains: give --photos, a folder of photographs")
    begun = time.monotonic()
    grounds = read_grounds(args.scenes, sensors)
    known = read_known(args.known) if args.known else []
    cells = plan(networks, list(grounds), args.seeds, args.crops)
    for cell in cells:
        if cell.key in results:
            continue
        minutes = (time.monotonic() - begun) / 60
        trained = cell.tuning != "classical"  # the others are what all is compared with
        if trained and args.minutes is not None and minutes > args.minutes:
            left = sum(one.key not in results for one in cells)
            print(f"seed: {left} of {len(cells)} cells left; run again to go on", file=sys.stderr)
            break
        record = run_cell(cell, args, folder, grounds, known)
        results.add(cell.key, record)
        print(f"{minutes:.1f} min: {cell}: {record.get('seconds', 0):.0f} s", flush=True)


def _chosen(asked: list[str], known: dict[str, object]) -> list[str]:
    if unknown := set(asked) - set(known):
        raise PanpriorError(f"no {', '.join(sorted(unknown))}; have: {', '.join(known)}")
    return [name for name in known if not asked or name in asked]
