"""Pretrain a fusion network on shards: accelerate launch fusiontrain/pretrain.py --shards DIR"""

import argparse
import sys

from fusiontrain.commands.training_options import add_flags, configure, find_sets, running
from fusiontrain.models.registry import MODELS
from fusiontrain.training.recipes import PRETRAIN, find_recipe
from fusiontrain.training.run import train
from shards.console import print_result, run_command, set_up_logging


def main(argv: list[str] | None = None) -> int:
    set_up_logging("fusiontrain")
    parser = argparse.ArgumentParser(prog="fusiontrain pretrain", description=__doc__)
    add_arguments(parser)
    return run_command("fusiontrain", lambda: run(parser.parse_args(argv)))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_flags(parser, recipes=PRETRAIN, default="pretrain")
    parser.add_argument("--model", choices=sorted(MODELS), help="default: the recipe's")


def run(args: argparse.Namespace) -> int:
    more = {} if args.model is None else {"model": args.model}
    config = configure(find_recipe(args.recipe), args, **more)
    sets = find_sets(args)
    outcome = train(config, sets, args.out, running(args))
    verb = "found, already trained," if outcome.reused else "trained"
    print_result(
        f"fusiontrain: {verb} {outcome.weights} ({outcome.steps} steps, loss {outcome.loss:.4f})"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
