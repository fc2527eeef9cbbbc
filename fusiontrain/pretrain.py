"""Pretrain a fusion network on shards: accelerate launch fusiontrain/pretrain.py --shards DIR"""

import argparse
import sys

from fusiontrain.commands.training_options import add_flags, configure, find_sets, running
from fusiontrain.errors import Interrupted
from fusiontrain.models.registry import MODELS
from fusiontrain.training.recipes import PRETRAIN, find_recipe
from fusiontrain.training.run import train
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
    except OSError as error:  # the disk's or the permissions' word, as in cli.py
        said = f"{error.filename or 'disk'}: {error.strerror or error}"
        print(f"fusiontrain: {said}", file=sys.stderr)
        return 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_flags(parser, recipes=PRETRAIN, default="pretrain")
    parser.add_argument("--model", choices=sorted(MODELS), help="default: the recipe's")


def run(args: argparse.Namespace) -> int:
    more = {} if args.model is None else {"model": args.model}
    config = configure(find_recipe(args.recipe), args, **more)
    sets = find_sets(args)
    outcome = train(config, sets, args.out, running(args))
    verb = "found, already trained," if outcome.reused else "trained"
    print(f"fusiontrain: {verb} {outcome.weights} ({outcome.steps} steps, loss {outcome.loss:.4f})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
