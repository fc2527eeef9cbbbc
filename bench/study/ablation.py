"""A part of the study: what each choice in the default network is worth.

Every variant of bench/study/variants.py trains for the same processor time on one thread, on the
same samples in the same order. Scenes are scored one level down by Wald's protocol, held builds
(of a simulated sensor that is not trained on) on crops. Figures are over the injection that
networks start from, MTF-GLP-FS on a blurred and registered PAN.
"""

import argparse
import json
from pathlib import Path
from statistics import fmean

from bench.study.runs import HELD, INDICES, relative, save, spread
from bench.study.scoring import figures, read_cases, read_crops
from bench.study.training import train
from bench.study.variants import VARIANTS
from fusiontrain.models.anyband.default_network import AnyBand
from shards.errors import PanpriorError

DEFAULT = "default"


def ablation(args: argparse.Namespace) -> str:
    """Every variant for every seed, each kept in a file; then the table."""
    folder = args.work / "ablation"
    folder.mkdir(parents=True, exist_ok=True)
    if not args.table:
        if not args.shards:
            raise PanpriorError("this part trains: give --shards, builds to train on")
        _run(args, folder)
    return _table(folder)


def _run(args: argparse.Namespace, folder: Path) -> None:
    names = args.only or list(VARIANTS)
    if unknown := set(names) - set(VARIANTS):
        raise PanpriorError(f"no row {', '.join(sorted(unknown))}; have: {', '.join(VARIANTS)}")
    cases = read_cases(args.scenes)
    crops = [crop for build in args.held for crop in read_crops(build, args.crop)]
    start = folder / "start.json"
    if not start.exists():
        save(start, {"figures": figures(AnyBand(), cases, crops)})
    for seed in args.seeds:
        for name in names:
            path = folder / f"{name}-{seed}.json"
            if path.exists():
                continue
            variant = VARIANTS[name]
            trained = train(variant.build, variant.loss, args.shards, seed=seed, args=args)
            row = {"variant": name, "figures": figures(
                trained.net, cases, crops, registered=variant.registered
            )}  # fmt: skip
            parameters = sum(p.numel() for p in trained.net.parameters())
            save(path, row | trained.facts | {"parameters": parameters})
            print(f"{name}, seed {seed}: {trained}", flush=True)


def _table(folder: Path) -> str:
    """Markdown: each variant's means over seeds, and their spread."""
    start = json.loads((folder / "start.json").read_text())["figures"]
    held = any(scene.startswith(HELD) for scene in start)
    lines = [
        "| group | choice | steps | ERGAS | SAM | Q2n |" + (" held ERGAS |" if held else ""),
        "|---|---|---|---|---|---|" + ("---|" if held else ""),
    ]
    for name, variant in VARIANTS.items():
        runs = [json.loads(p.read_text()) for p in sorted(folder.glob(f"{name}-[0-9]*.json"))]
        if not runs:
            continue
        cells = [variant.group, variant.label, f"{fmean(run['steps'] for run in runs):.0f}"]
        real = [relative(run["figures"], start, held=False) for run in runs]
        cells += [spread([row[index] for row in real], signed=index == "Q2n") for index in INDICES]
        if held:
            cells.append(spread([relative(r["figures"], start, held=True)["ERGAS"] for r in runs]))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
