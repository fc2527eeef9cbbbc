"""Every network from shards to a fused scene: trained, reloaded, and used; a Markdown table.

python -m bench.speed.every_model [--models NAME ...] [--seconds 15] [--steps 60]
    [--work runs/every]

Demo shards of 4 bands are built; each network trains on crops of 32 until `--steps` or `--seconds`
(panmamba and fusionmamba: one crop a step, not four, and five times as long) by
`accelerate launch fusiontrain/pretrain.py`; `fusiontrain fuse` then makes a held-out scene of
148 x 92 PAN pixels with its weights. Loss: of the network as built, and as trained, on the same 48
crops of the shards. Reload: the network that the file gives writes the same file again, bit by
bit, and its copy the same pixels. What is done in `--work` already is not done again.
"""

import argparse
import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import rasterio
import torch
from torch import nn

from fusiontrain.data.dataset import IndexedShards
from fusiontrain.data.shard_integrity import ShardSet
from fusiontrain.models.checkpoints import load_checkpoint, save_checkpoint
from fusiontrain.models.registry import MODELS, build_model
from fusiontrain.training.losses import LOSSES
from fusiontrain.training.recipes import find_recipe

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
LAUNCH = ["--num_processes", "1", "--num_machines", "1"]
LAUNCH += ["--mixed_precision", "no", "--dynamo_backend", "no"]
BANDS, RATIO, CROP, BATCH = 4, 4, 32, 4
HEIGHT, WIDTH = 148, 92  # PAN pixels, 4 x 37 and 4 x 23: no network's grid divides both
SLOW = {"panmamba", "fusionmamba"}  # a step of four crops takes seconds: one crop, longer
PATIENCE = 5  # times the seconds
BATCHES = 12  # of BATCH crops, on which the loss is taken


@dataclass(frozen=True, slots=True)
class Row:
    """Result of one network."""

    steps: int
    built: float  # loss
    trained: float
    same_bits: bool
    fused: str

    @property
    def good(self) -> bool:
        return self.trained < self.built and self.same_bits and self.fused == expected_shape()


def expected_shape() -> str:
    return f"{BANDS} x {HEIGHT} x {WIDTH}"


def shards(work: Path) -> Path:
    """Demo shards to train on, and beside them a scene of another photograph."""
    build, scene = work / "shards", work / "scene"
    if not (scene / "ms.tif").exists():
        made = partial(command, "simgen", "build", "--dataset", "demo", "--bands", str(BANDS))
        tile = ["--tile", "192", "--draws", "1"]
        made("--recipe", "sensor-clean", "--draws", "16", "--tile", "64", "--out", str(build))
        made("--source", "held-out", "--limit", "1", *tile, "--out", str(work / "held"))
        command("fusiontrain", "export", str(work / "held"), str(work / "whole"))
        scene.mkdir(exist_ok=True)
        cut(work / "whole" / "pan.tif", scene / "pan.tif", HEIGHT, WIDTH)
        cut(work / "whole" / "ms.tif", scene / "ms.tif", HEIGHT // RATIO, WIDTH // RATIO)
    return build


def cut(source: Path, target: Path, height: int, width: int) -> None:
    with rasterio.open(source) as file:
        pixels, profile = file.read(), file.profile
    profile = {
        key: profile[key] for key in ("driver", "dtype", "count", "crs", "transform", "nodata")
    }
    with rasterio.open(target, "w", height=height, width=width, **profile) as file:
        file.write(pixels[:, :height, :width])


def command(name: str, *rest: str) -> None:
    """Raises: RuntimeError with what it said."""
    line = [str(BIN / name), *rest]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{name} {' '.join(rest)}\n{done.stdout}{done.stderr}")


def follow(model: str, work: Path, *, steps: int, seconds: float) -> Row:
    """One network, from shards to pixels."""
    build, scene, run = shards(work), work / "scene", work / model
    patience, batch = (PATIENCE, 1) if model in SLOW else (1, BATCH)
    train = ["fusiontrain/pretrain.py", "--model", model, "--shards", str(build)]
    train += ["--out", str(run), "--crop", str(CROP), "--batch-size", str(batch)]
    train += ["--max-steps", str(steps), "--max-minutes", str(seconds * patience / 60)]
    command("accelerate", "launch", *LAUNCH, *train, "--warmup-steps", "3", "--tracker", "none")
    weights = run / "model.safetensors"
    net, info = load_checkpoint(weights)
    torch.manual_seed(find_recipe("pretrain").seed)
    built = build_model(model, **info.sizes).eval()
    copy = run / "again.safetensors"
    save_checkpoint(copy, net, info)
    first = fuse(scene, run / "fused.tif", weights)
    second = fuse(scene, run / "fused-again.tif", copy)
    return Row(
        steps=info.training["steps"],
        built=loss(built, build),
        trained=loss(net, build),
        same_bits=weights.read_bytes() == copy.read_bytes() and np.array_equal(first, second),
        fused=" x ".join(str(side) for side in first.shape),
    )


def fuse(scene: Path, out: Path, weights: Path) -> np.ndarray:
    command(
        *("fusiontrain", "fuse", str(scene / "pan.tif"), str(scene / "ms.tif"), str(out)),
        *("--assume-aligned", "--weights", str(weights), "--quiet"),
    )
    with rasterio.open(out) as file:
        return file.read()


@torch.inference_mode()
def loss(net: nn.Module, build: Path) -> float:
    """What the recipe minimises, on crops that are the same for every network."""
    data = IndexedShards([ShardSet(folder=build)], batch=BATCH, crop=CROP, seed=1)
    taken = LOSSES[find_recipe("pretrain").loss]
    batches = [data[i] for i in range(BATCHES)]
    return sum(float(taken(net(b.inputs), b.truth, b.inputs)) for b in batches) / BATCHES


def table(rows: dict[str, Row]) -> str:
    lines = ["| network | steps | loss as built | as trained | reload bit-equal | fused |"]
    lines.append("|---|---:|---:|---:|---|---|")
    for name, row in rows.items():
        same = "yes" if row.same_bits else "**no**"
        figures = f"{row.steps} | {row.built:.4f} | {row.trained:.4f} | {same} | {row.fused}"
        lines.append(f"| {name} | {figures} |")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", choices=sorted(MODELS), default=list(MODELS))
    parser.add_argument("--seconds", type=float, default=15.0, help="of training")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "every")
    args = parser.parse_args(argv)
    work = args.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    rows = {}
    for name in args.models:
        kept = work / f"{name}.json"
        if not kept.exists():
            row = follow(name, work, steps=args.steps, seconds=args.seconds)
            kept.write_text(json.dumps(asdict(row)))
        rows[name] = Row(**json.loads(kept.read_text()))
        print(f"{name}: {rows[name]}", file=sys.stderr, flush=True)
    print(table(rows))
    bad = [name for name, row in rows.items() if not row.good]
    if bad:
        print(f"not good: {', '.join(bad)}", file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
