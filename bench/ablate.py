"""What each choice in the default network is worth: trained alike, judged on real scenes.

python bench/ablate.py --shards DIR [DIR:SHARE ...] --scenes DIR ... [--held DIR ...]
    [--seconds 150] [--seeds 0 1 2] [--only NAME ...] [--out bench/ablation] [--table]

Every variant of bench/variants.py trains for the same processor time on one thread, on the same
samples in the same order, by the schedule of `fusiontrain pretrain` with averaged weights. Scenes
are judged one level down by Wald's protocol, held builds on crops (of a simulated sensor
that is not trained on). Figures are over the injection that networks start from, MTF-GLP-FS on a
blurred and registered PAN: the geometric mean of ratios for ERGAS and SAM, the mean difference
for Q2n. A run is kept in a file of its own in --out and not run again.
"""

import argparse
import copy
import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch
from torch import Tensor, nn
from variants import VARIANTS, Variant

from fusiontrain.data.dataset import IndexedShards
from fusiontrain.data.loader import BatchLoader
from fusiontrain.data.shard_integrity import ShardSet
from fusiontrain.data.shard_location import find_set
from fusiontrain.errors import SceneError
from fusiontrain.evaluation.loaded_scenes import SceneLoader, mean_softness
from fusiontrain.evaluation.protocols import BORDER, Case, reduced
from fusiontrain.imaging.pan_batch import PanBatch
from fusiontrain.imaging.shift_estimation import NO_SHIFT
from fusiontrain.metrics import ergas, q2n, sam
from fusiontrain.models.anyband.default_network import AnyBand
from fusiontrain.scenes.discovery import SceneEntry, find_scenes

BATCH, RATE, WARM, FALL, AVERAGE = 8, 2e-3, 50, 0.3, 0.995
HELD_TILES = 24
INDICES = ("ERGAS", "SAM", "Q2n")
Figures = dict[str, dict[str, float]]  # scene -> index -> value


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shards", nargs="+", default=[], metavar="DIR[:SHARE]")
    parser.add_argument("--scenes", nargs="+", type=Path, default=[])
    parser.add_argument("--held", nargs="*", type=Path, default=[])
    parser.add_argument("--seconds", type=float, default=150.0, help="of processor time a run")
    parser.add_argument("--crop", type=int, default=128, help="PAN pixels a side")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("ablation"))
    parser.add_argument("--table", action="store_true", help="print what there is; train nothing")
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    if not args.table:
        run(args)
    print(table(args.out))
    return 0


def run(args: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    cases = read_cases(args.scenes)
    tiles = [tile for folder in args.held for tile in read_tiles(folder, args.crop)]
    start = args.out / "start.json"
    if not start.exists():
        save(start, {"figures": figures(AnyBand(), cases, tiles, registered=True)})
    for seed in args.seeds:
        for name in args.only:
            path = args.out / f"{name or 'default'}-{seed}.json"
            if path.exists():
                continue
            variant = VARIANTS[name]
            net, steps, loss = train(variant, args, seed)
            found = figures(net, cases, tiles, registered=variant.registered)
            save(
                path,
                {
                    "variant": name,
                    "seed": seed,
                    "seconds": args.seconds,
                    "steps": steps,
                    "loss": loss,
                    "parameters": sum(p.numel() for p in net.parameters()),
                    "figures": found,
                },
            )
            print(f"{name or 'default'}, seed {seed}: {steps} steps, loss {loss:.4f}", flush=True)


def train(variant: Variant, args: argparse.Namespace, seed: int) -> tuple[nn.Module, int, float]:
    """(averaged network, steps, smoothed loss) after the budget of processor time."""
    torch.manual_seed(seed)
    net = variant.build()
    mean = copy.deepcopy(net)
    sets: list[ShardSet] = [find_set(text) for text in args.shards]
    feed = iter(
        BatchLoader(IndexedShards(sets, batch=BATCH, crop=args.crop, seed=seed), start=0, workers=0)
    )
    optimizer = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=1e-4)
    begun, step, smoothed = time.process_time(), 0, math.nan
    while (done := (time.process_time() - begun) / args.seconds) < 1:
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1, (step + 1) / WARM) * min(1, (1 - done) / FALL)
        batch = next(feed)
        fused = net(batch.inputs)
        loss = variant.loss(fused, batch.truth, batch.inputs)
        optimizer.zero_grad()
        loss.backward()
        if torch.isfinite(nn.utils.clip_grad_norm_(net.parameters(), 1.0)):
            optimizer.step()
        step += 1
        with torch.no_grad():
            kept = min(AVERAGE, step / (step + 9))
            for slow, fast in zip(mean.parameters(), net.parameters(), strict=True):
                slow.lerp_(fast, 1 - kept)
        value = float(loss.detach())
        smoothed = value if math.isnan(smoothed) else 0.98 * smoothed + 0.02 * value
    return mean.eval(), step, smoothed


def read_cases(paths: Sequence[Path]) -> list[Case]:
    """Told as the benchmark tells: reduced data get what their sensor's others show."""
    entries = find_scenes(paths) if paths else []
    told = told_softness(entries)
    cases = []
    for entry in entries:
        try:
            cases.append(case_of(entry, told))
        except SceneError as error:
            print(f"left out: {error}", file=sys.stderr)
    return cases


def told_softness(entries: Sequence[SceneEntry]) -> dict[str, float]:
    """Sensor -> the mean of what its real pairs show."""
    loader = SceneLoader()
    scenes = []
    for entry in entries:
        try:
            scenes.append(loader.load(entry))
        except SceneError:
            continue  # reported when its case is made
    return mean_softness(scenes)


def case_of(entry: SceneEntry, told: Mapping[str, float]) -> Case:
    """Wald's protocol. Raises: SceneError."""
    scene = entry.load()
    return reduced(scene, softness=None if scene.gt is None else told.get(scene.sensor.name))


def read_tiles(folder: Path, side: int) -> list[tuple[str, PanBatch, Tensor]]:
    """Crops of a held build's tiles, spread over it."""
    data = IndexedShards([ShardSet(folder=folder)], batch=1, crop=side, seed=0)
    drawn = [data[k] for k in range(HELD_TILES)]
    return [(f"{folder.name} {k}", one.inputs, one.truth) for k, one in enumerate(drawn)]


@torch.inference_mode()
def figures(
    net: nn.Module,
    cases: Sequence[Case],
    tiles: Sequence[tuple[str, PanBatch, Tensor]],
    *,
    registered: bool,
) -> Figures:
    found = {}
    for case in cases:
        told = (
            case
            if registered
            else replace(case, sensor_model=replace(case.sensor_model, shift=NO_SHIFT))
        )
        found[case.name] = indices(net, told.registered, case.truth, case.scene.valid)
    for name, seen, gt in tiles:
        found[f"held {name}"] = indices(net, seen, gt[0], None)
    return found


def indices(
    net: nn.Module, seen: PanBatch, truth: Tensor | None, valid: Tensor | None
) -> dict[str, float]:
    assert truth is not None
    rim = slice(BORDER, -BORDER)
    fused, truth = net(seen)[0][:, rim, rim], truth[:, rim, rim]
    valid = None if valid is None else valid[rim, rim]
    return {
        "ERGAS": float(ergas(truth, fused, ratio=seen.ratio, valid=valid)),
        "SAM": float(sam(truth, fused, valid=valid)),
        "Q2n": float(q2n(truth, fused, valid=valid)),
    }


def save(path: Path, data: dict[str, Any]) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(data, indent=1) + "\n")
    partial.replace(path)


def table(folder: Path) -> str:
    """Markdown: each variant's means over seeds, and their spread."""
    start = json.loads((folder / "start.json").read_text())["figures"]
    held = any(scene.startswith("held ") for scene in start)
    lines = [
        "| group | choice | steps | ERGAS | SAM | Q2n |" + (" held ERGAS |" if held else ""),
        "|---|---|---|---|---|---|" + ("---|" if held else ""),
    ]
    for name, variant in VARIANTS.items():
        runs = [
            json.loads(path.read_text())
            for path in sorted(folder.glob(f"{name or 'default'}-[0-9]*.json"))
        ]
        if not runs:
            continue
        cells = [variant.group, variant.says, f"{fmean(run['steps'] for run in runs):.0f}"]
        real = [against(run["figures"], start, held=False) for run in runs]
        cells += [spread([one[index] for one in real], signed=index == "Q2n") for index in INDICES]
        if held:
            cells.append(spread([against(r["figures"], start, held=True)["ERGAS"] for r in runs]))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def against(found: Figures, start: Figures, *, held: bool) -> dict[str, float]:
    """Means over scenes of what was found over what the start has; NaN over none."""
    names = [name for name in start if name.startswith("held ") == held]
    if not names:
        return dict.fromkeys(INDICES, math.nan)
    means = {
        index: math.exp(fmean(math.log(found[n][index] / start[n][index]) for n in names))
        for index in ("ERGAS", "SAM")
    }
    return means | {"Q2n": fmean(found[n]["Q2n"] - start[n]["Q2n"] for n in names)}


def spread(values: Sequence[float], *, signed: bool = False) -> str:
    if any(map(math.isnan, values)):
        return "-"
    shown = f"{fmean(values):{'+' if signed else ''}.4f}"
    return f"{shown} ± {stdev(values):.4f}" if len(values) > 1 else shown


if __name__ == "__main__":
    sys.exit(main())
