"""The scans beside their reference loops: the same tensors, one thread, in turns.

python -m bench.speed.scan [--rounds 3] [--quick]
"""

import argparse
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor

from bench.speed.aims import Aim, verdict
from bench.speed.record import command_line, record
from fusiontrain.models.layers.selective_scan import reference_scan, selective_scan
from fusiontrain.models.layers.ssd import reference_ssd, ssd

FEATURES, STATES, HEADS = 64, 16, 4
TIMES_THE_LOOP = 3.0  # at least
BESIDE = 2048  # tokens at which the loops are measured too
LINEAR = (4096, 16384, 65536)  # tokens of the scans alone; 65536 is a 256 x 256 image

Run = Callable[[], None]


def selective(tokens: int) -> tuple[Tensor, ...]:
    """Mamba-1's: a decay for each of 64 features and 16 states."""
    rng = torch.Generator().manual_seed(1)
    x, dt = torch.randn(2, 1, tokens, FEATURES, generator=rng)
    A = -torch.arange(1.0, STATES + 1).repeat(FEATURES, 1)
    B, C = torch.randn(2, 1, tokens, STATES, generator=rng)
    return x, torch.nn.functional.softplus(dt - 3), A, B, C, torch.ones(FEATURES)


def dual(tokens: int) -> tuple[Tensor, ...]:
    """Mamba-2's: a decay for each of 4 heads of 16 features."""
    x, dt, _, B, C, _ = selective(tokens)
    return x.reshape(1, tokens, HEADS, -1), -dt[..., :HEADS], B, C


def run(scan: Callable[..., Tensor], given: tuple[Tensor, ...], *, training: bool) -> Run:
    tensors = [tensor.clone().requires_grad_(training) for tensor in given]

    def once() -> None:
        with torch.set_grad_enabled(training):
            y = scan(*tensors)
        if training:
            y.sum().backward()

    return once


def seconds(runs: dict[str, Run], rounds: int) -> dict[str, float]:
    """Of this core's own time: the best of `rounds` turns, after one that does not count."""
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(rounds + 1):
        for name, once in runs.items():
            start = time.process_time()
            once()
            if turn:
                taken[name].append(time.process_time() - start)
    return {name: min(times) for name, times in taken.items()}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="small sizes, one round, no record")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    rounds = 1 if args.quick else args.rounds
    beside, linear = (64, (64, 128)) if args.quick else (BESIDE, LINEAR)
    forms = {
        "selective scan (Mamba)": (selective_scan, reference_scan, selective),
        "state space duality (Mamba-2)": (ssd, reference_ssd, dual),
    }
    figures: dict[str, dict[str, float]] = {}
    for form, (fast, slow, draw) in forms.items():
        row: dict[str, float] = {}
        for what, training in (("forward", False), ("training", True)):
            given = draw(beside)
            pair = {"fast": run(fast, given, training=training)}
            pair["loop"] = run(slow, given, training=training)
            took = seconds(pair, rounds)
            row[f"{what}, us a token at {beside}"] = round(took["fast"] / beside * 1e6, 2)
            row[f"{what}, times the loop"] = round(took["loop"] / took["fast"], 1)
            runs = {str(n): run(fast, draw(n), training=training) for n in linear}
            for n, took_n in seconds(runs, rounds).items():
                row[f"{what}, us a token at {n}"] = round(took_n / int(n) * 1e6, 2)
        figures[form] = row
        print(form)
        for name, value in row.items():
            print(f"  {name}: {value}", flush=True)
    if not args.quick:
        record("scan", figures, command=command_line(), libraries=("torch",))
    return verdict(
        Aim(f"{form}, {what}", value, TIMES_THE_LOOP)
        for form, row in figures.items()
        for what, value in row.items()
        if what.endswith("times the loop") and not args.quick
    )


if __name__ == "__main__":
    sys.exit(main())
