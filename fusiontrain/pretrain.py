"""Pretrain a fusion network on shards: accelerate launch fusiontrain/pretrain.py --shards DIR"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from fusiontrain.errors import TrainingError
from fusiontrain.loop import train
from fusiontrain.models.registry import DEFAULT, MODELS
from fusiontrain.recipes.pretrain import pretrain
from shards.errors import PanpriorError


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="fusiontrain pretrain", description=__doc__)
    add_arguments(parser)
    args = parser.parse_args(argv)
    try:
        return run(args)
    except PanpriorError as error:
        print(f"fusiontrain: {error}", file=sys.stderr)
        return 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    recipe = pretrain()
    parser.add_argument("--shards", type=Path, nargs="+", required=True, metavar="DIR")
    parser.add_argument("--model", choices=sorted(MODELS), default=DEFAULT)
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--max-steps", type=int, default=recipe.max_steps)
    parser.add_argument("--max-minutes", type=float, default=recipe.max_minutes)
    parser.add_argument("--batch-size", type=int, default=recipe.batch_size, help="crops a process")
    parser.add_argument("--crop", type=int, default=recipe.crop, help="PAN pixels a side")
    parser.add_argument("--seed", type=int, default=recipe.seed)
    parser.add_argument("--precision", choices=["no", "bf16"], default=recipe.precision)
    parser.add_argument("--workers", type=int, default=0, help="reader processes a rank")


def run(args: argparse.Namespace) -> int:
    if args.workers < 0:
        raise TrainingError(f"--workers must not be negative; got {args.workers}")
    config = replace(
        pretrain(),
        model=args.model,
        max_steps=args.max_steps,
        max_minutes=args.max_minutes,
        batch_size=args.batch_size,
        crop=args.crop,
        seed=args.seed,
        precision=args.precision,
    )
    outcome = train(config, args.shards, args.out, workers=args.workers)
    verb = "found, already trained," if outcome.reused else "trained"
    print(f"fusiontrain: {verb} {outcome.weights} ({outcome.steps} steps, loss {outcome.loss:.4f})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
