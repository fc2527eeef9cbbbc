"""Every network on one core: the same batch, the best of turns, memory; a Markdown table.

python -m bench.speed.networks [--models NAME ...] [--ways fp32 ...] [--rounds 2] [--crop 128]
    [--side 512] [--quick]

Fusing: one 4-band image of `--side` PAN pixels a side, ratio 4. Training: forward, loss and
backward on batches of 8 crops. Slow networks (*) fuse a quarter of the side and train on one crop
of half the side, which counts as a quarter of a crop. Both in float32 and, for convolutional
networks, with weights and images channels last; under bfloat16 autocast where the processor
multiplies it (elsewhere torch falls back to plain loops; fusing is then timed on a small image,
once). "x": the better of the float32 layouts over PanNet's and FusionNet's better one, fusing and
training. Memory: what a fresh process needed at its peak, fusing `--side` (slow: half of it),
beyond what the imports, the weights and a small image took.
"""

import argparse
import json
import math
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import nn

from bench.speed.aims import Aim, verdict
from bench.speed.record import RESULTS, command_line, record
from fusiontrain.imaging.pan_batch import PanBatch
from fusiontrain.models.registry import MODELS, build_model
from fusiontrain.training.losses import relative_l1

BANDS, RATIO, BATCH = 4, 4, 8
DEFAULT = "anyband"
TRAINS_FASTER = 3.0  # times the rivals' crops a second
RIVALS = ("pannet", "fusionnet")
# Measured on small images and one small crop, in turns of their own.
SLOW = {"panmamba", "fusionmamba", "lagconv", "panformer", "swinir"}
SLOW |= {"anyband-panmamba", "anyband-fusionmamba"}


@dataclass(frozen=True, slots=True)
class Way:
    """How a network is run."""

    name: str
    bf16: bool = False
    channels_last: bool = False


PLAIN = Way("fp32")
WAYS = (PLAIN, Way("fp32 cl", channels_last=True), Way("bf16", bf16=True))


def draw(count: int, side: int) -> PanBatch:
    rng = torch.Generator().manual_seed(1)
    h = side // RATIO
    gains = torch.full((count, BANDS), 0.3)
    return PanBatch(
        ms=torch.rand(count, BANDS, h, h, generator=rng) * 900 + 100,
        pan=torch.rand(count, 1, side, side, generator=rng) * 900 + 100,
        ratio=RATIO,
        mtf=gains,
        softness=gains,
    )


def build(name: str, way: Way) -> nn.Module:
    sizes = MODELS[name].sizes
    net = build_model(name, **{**sizes, "bands": BANDS} if "bands" in sizes else sizes)
    return net.to(memory_format=torch.channels_last) if way.channels_last else net


def laid(batch: PanBatch, way: Way) -> PanBatch:
    if not way.channels_last:
        return batch
    ms, pan = (x.contiguous(memory_format=torch.channels_last) for x in (batch.ms, batch.pan))
    return replace(batch, ms=ms, pan=pan)


def fusing(name: str, way: Way, side: int) -> Callable[[], None]:
    net, batch = build(name, way).eval(), laid(draw(1, side), way)

    def once() -> None:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=way.bf16):
            net(batch)

    return once


def training(name: str, way: Way, *, crop: int, count: int) -> Callable[[], None]:
    net, batch = build(name, way), laid(draw(count, crop), way)
    truth = torch.rand(count, BANDS, crop, crop) * 900 + 100

    def once() -> None:
        net.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=way.bf16):
            fused = net(batch)
        relative_l1(fused, truth, batch.ms).backward()

    return once


def rates(runs: dict[str, tuple[float, Callable[[], None]]], rounds: int) -> dict[str, float]:
    """Amount a second of this core's time: the best of `rounds` turns, after one not counted."""
    taken: dict[str, list[float]] = {key: [] for key in runs}
    for turn in range(rounds + 1):
        for key, (_, once) in runs.items():
            start = time.process_time()
            once()
            if turn:
                taken[key].append(time.process_time() - start)
    return {key: runs[key][0] / min(times) for key, times in taken.items()}


def peak_mebibytes(name: str, side: int) -> float:
    """In a fresh process, fusing `side` x `side` once, beyond a first fusing of 64 x 64."""
    context = multiprocessing.get_context("forkserver")  # imports once
    with context.Pool(1) as pool:
        return pool.apply(_peak, (name, side))


def _peak(name: str, side: int) -> float:
    torch.set_num_threads(1)
    fusing(name, PLAIN, 64)()
    once = fusing(name, PLAIN, side)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    once()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def measure(
    names: list[str], rounds: int, crop: int, side: int, ways: list[Way]
) -> dict[str, dict[str, float]]:
    """All of `names` in turns with one another."""
    fuse: dict[str, tuple[float, Callable[[], None]]] = {}
    train: dict[str, tuple[float, Callable[[], None]]] = {}
    small: dict[str, tuple[float, Callable[[], None]]] = {}
    memory = {}
    native = torch.cpu._is_avx512_bf16_supported()
    for name in names:
        slow = name in SLOW
        here, crop_here, count = (side // 4, crop // 2, 1) if slow else (side, crop, BATCH)
        crops = count * (crop_here / crop) ** 2
        for way in ways:
            if way.channels_last and MODELS[name].family not in ("cnn", "unfolding"):
                continue
            if way.bf16 and not native:
                small[f"{name} Mpix/s {way.name}"] = (64**2 / 1e6, fusing(name, way, 64))
                continue
            fuse[f"{name} Mpix/s {way.name}"] = (here**2 / 1e6, fusing(name, way, here))
            step = training(name, way, crop=crop_here, count=count)
            train[f"{name} crops/s {way.name}"] = (crops, step)
        whole = side // 2 if slow else side
        memory[f"{name} MiB a Mpix"] = peak_mebibytes(name, whole) / (whole**2 / 1e6)
    found = {**rates(fuse, rounds), **rates(train, rounds), **rates(small, 1), **memory}
    rows: dict[str, dict[str, float]] = {name: {} for name in names}
    for key, value in found.items():
        name, column = key.split(" ", 1)
        rows[name][column] = float(f"{value:.3g}")
    return rows


def held() -> dict[str, dict[str, float]]:
    """Figures of earlier runs, so that networks can be measured a few at a time."""
    if not RESULTS.exists():
        return {}
    return json.loads(RESULTS.read_text()).get("networks", {}).get("figures", {})


def best(row: dict[str, float], what: str) -> float:
    """Of the float32 layouts."""
    found = [
        row[f"{what} {way.name}"] for way in WAYS if not way.bf16 and f"{what} {way.name}" in row
    ]
    return max(found, default=math.nan)


def beside(figures: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """The same with ratios to the networks that the aims name, where those were measured too."""
    out = {}
    for name, row in figures.items():
        out[name] = dict(row)
        for what in ("Mpix/s", "crops/s"):
            for rival in RIVALS:
                ratio = best(row, what) / best(figures.get(rival, {}), what)
                if math.isfinite(ratio):
                    out[name][f"{what} x {rival}"] = float(f"{ratio:.3g}")
    return out


def table(figures: dict[str, dict[str, float]]) -> str:
    columns = []
    for what in ("Mpix/s", "crops/s"):
        columns += [f"{what} {way.name}" for way in WAYS]
        columns += [f"{what} x {rival}" for rival in RIVALS]
    columns.append("MiB a Mpix")
    lines = ["| network | " + " | ".join(columns) + " |", "|---" + "|---:" * len(columns) + "|"]
    for name, row in figures.items():
        cells = [f"{row[c]:g}" if c in row else "-" for c in columns]
        lines.append(f"| {name}{' *' if name in SLOW else ''} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", choices=sorted(MODELS), default=list(MODELS))
    parser.add_argument("--ways", nargs="+", choices=[way.name for way in WAYS])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--crop", type=int, default=128)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--quick", action="store_true", help="tiny, one turn, no record")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    if args.quick:
        args.rounds, args.crop, args.side = 1, 32, 128
    quick = [name for name in args.models if name not in SLOW]
    slow = [name for name in args.models if name in SLOW]
    ways = [way for way in WAYS if args.ways is None or way.name in args.ways]
    figures = measure(quick, args.rounds, args.crop, args.side, ways)
    figures |= measure(slow, 1, args.crop, args.side, ways)
    figures = beside({name: figures[name] for name in args.models})
    print(table(figures))
    if not args.quick:
        earlier = held()
        figures = {**earlier, **{k: earlier.get(k, {}) | row for k, row in figures.items()}}
        record("networks", figures, command=command_line(), libraries=("torch",))
    ours = figures.get(DEFAULT, {})
    return verdict(
        Aim(f"{DEFAULT}'s crops/s over {rival}'s", ours[f"crops/s x {rival}"], TRAINS_FASTER)
        for rival in RIVALS
        if f"crops/s x {rival}" in ours and not args.quick
    )


if __name__ == "__main__":
    sys.exit(main())
