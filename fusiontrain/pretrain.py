"""Pretrain a fusion network on shards: accelerate launch fusiontrain/pretrain.py --shards DIR"""

import sys
from argparse import Namespace

from fusiontrain.commands.choices import model_name
from fusiontrain.commands.config_parser import ConfigParser
from fusiontrain.commands.run_config import config_text
from fusiontrain.commands.training_options import (
    configure,
    find_shards,
    run_options,
    training_parser,
)
from fusiontrain.training.recipes import PRETRAIN, find_recipe
from shards.console import print_result, run_command, set_up_logging
from shards.process_memory import keep_freed_memory
from shards.program import run_parsed


def main(argv: list[str] | None = None) -> int:
    set_up_logging("fusiontrain")
    keep_freed_memory()
    return run_command("fusiontrain", lambda: run_parsed(make_parser(), run, argv))


def make_parser() -> ConfigParser:
    parser = training_parser(
        "fusiontrain pretrain",
        __doc__,
        recipes=PRETRAIN,
        default="pretrain",
        skip=("blend", "trained"),
    )
    parser.add_argument(
        "--model",
        type=model_name,
        default=find_recipe("pretrain").model,
        metavar="NAME|MODULE:CLASS",
        help="network to train (docs/reference/models.md), or your own: my_module:MyNet",
    )
    return parser


def run(args: Namespace) -> int:
    from fusiontrain.training.run import train  # torch: not before the flags are right

    config, text = configure(args), config_text(make_parser(), args)
    outcome = train(config, find_shards(args), args.out, run_options(args), config_file=text)
    verb = "found, already trained," if outcome.reused else "trained"
    print_result(
        f"fusiontrain: {verb} {outcome.weights} ({outcome.steps} steps, loss {outcome.loss:.4f})"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
