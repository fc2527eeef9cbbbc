"""Pretrain a fusion network on shards: accelerate launch fusiontrain/pretrain.py --shards DIR"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from fusiontrain.errors import Interrupted, TrainingError
from fusiontrain.indexed import ShardSet
from fusiontrain.loop import SAVE_MINUTES, train
from fusiontrain.models.registry import DEFAULT, MODELS
from fusiontrain.recipes.pretrain import pretrain
from shards.errors import PanpriorError


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="fusiontrain pretrain", description=__doc__)
    add_arguments(parser)
    args = parser.parse_args(argv)
    try:
        return run(args)
    except Interrupted as stopped:
        print(f"fusiontrain: {stopped}", file=sys.stderr)
        return stopped.code
    except PanpriorError as error:
        print(f"fusiontrain: {error}", file=sys.stderr)
        return 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    recipe = pretrain()
    parser.add_argument(
        "--shards", nargs="+", required=True, metavar="DIR[:SHARE]", help="builds, and their shares"
    )
    parser.add_argument("--model", choices=sorted(MODELS), default=DEFAULT)
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--max-steps", type=int, default=recipe.max_steps)
    parser.add_argument("--max-minutes", type=float, default=recipe.max_minutes)
    parser.add_argument("--batch-size", type=int, default=recipe.batch_size, help="crops a step")
    parser.add_argument("--crop", type=int, default=recipe.crop, help="PAN pixels a side")
    parser.add_argument("--seed", type=int, default=recipe.seed)
    parser.add_argument("--precision", choices=["no", "bf16"], default=recipe.precision)
    parser.add_argument("--on-bad-shard", choices=["fail", "skip"], default="fail")
    parser.add_argument("--save-minutes", type=float, default=SAVE_MINUTES, help="between states")
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
    outcome = train(
        config,
        [parse_set(text) for text in args.shards],
        args.out,
        workers=args.workers,
        on_bad=args.on_bad_shard,
        save_minutes=args.save_minutes,
    )
    verb = "found, already trained," if outcome.reused else "trained"
    print(f"fusiontrain: {verb} {outcome.weights} ({outcome.steps} steps, loss {outcome.loss:.4f})")
    return 0


def parse_set(text: str) -> ShardSet:
    """DIR, or DIR:SHARE as in imagenet:0.3. Raises: TrainingError for a share not above 0."""
    folder, colon, share = text.rpartition(":")
    if not colon or Path(text).is_dir():
        return ShardSet(folder=Path(text))
    try:
        value = float(share)
    except ValueError:
        return ShardSet(folder=Path(text))  # a colon in a name, not a share
    if not value > 0:
        raise TrainingError(f"a share must be above 0; got {text!r}")
    return ShardSet(folder=Path(folder), share=value)


if __name__ == "__main__":
    sys.exit(main())
