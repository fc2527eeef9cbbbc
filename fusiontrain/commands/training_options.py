"""Flags of the commands that train: made from the frozen configuration, one a field."""

import logging
from argparse import Namespace
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fusiontrain.commands.config_parser import ConfigParser
from fusiontrain.errors import TrainingError
from fusiontrain.training.config import RunOptions, TrainConfig
from fusiontrain.training.recipes import find_recipe
from shards.command_line import add_fields, field_defaults, field_values

if TYPE_CHECKING:
    from fusiontrain.data.shard_integrity import ShardSet
    from fusiontrain.data.shard_location import StreamSet

logger = logging.getLogger(__name__)
TRACKERS = ("tensorboard", "wandb", "trackio")
# Fields without a flag of this module: set by the commands, or added by hand below.
_CONFIG_BY_COMMANDS = ("model", "initial")
_RUN_BY_HAND = ("recipe", "weights", "validate", "trackers")


def training_parser(
    prog: str,
    description: str | None,
    *,
    recipes: Iterable[str],
    default: str,
    shards: bool = True,
    skip: Collection[str] = (),
) -> ConfigParser:
    """Flags of a training run; their defaults are those of the recipe.

    shards: whether the run needs some. skip: fields of TrainConfig without a flag.
    """
    parser = ConfigParser(prog=prog, description=description)
    parser.add_argument(
        "--shards",
        nargs="+",
        required=shards,
        metavar="DIR[:SHARE]",
        help="builds to train on, with their shares of the batches",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the run")
    parser.add_argument(
        "--cache", type=Path, metavar="DIR", help="copies of shards at URLs (default: the user's)"
    )
    parser.add_presets("--recipe", {name: partial(_defaults, name) for name in recipes}, default)
    add_fields(
        parser, TrainConfig, skip=(*_CONFIG_BY_COMMANDS, *skip), defaults=find_recipe(default)
    )
    add_fields(parser, RunOptions, skip=_RUN_BY_HAND)
    parser.add_argument(
        "--validate", nargs="+", default=[], metavar="DIR|URL", help="builds to validate on"
    )
    parser.add_argument(
        "--tracker",
        nargs="+",
        choices=[*TRACKERS, "none"],
        default=["tensorboard"],
        help="trackers of the run's figures",
    )
    return parser


def configure(args: Namespace, **more: Any) -> TrainConfig:
    """The recipe with the values of flags and config file. Raises: TrainingError."""
    recipe = find_recipe(args.recipe)
    values = field_values(args, TrainConfig) | more
    # An equal number of another type (0 for 0.0) would change the digest.
    changed = {name: value for name, value in values.items() if value != getattr(recipe, name)}
    return replace(recipe, **changed)


def run_options(args: Namespace, weights: Path | None = None) -> RunOptions:
    """How the run is run; builds to validate on at URLs are fetched. Raises: PanpriorError."""
    from fusiontrain.data.shard_location import find_held

    if "none" in args.tracker and len(args.tracker) > 1:
        raise TrainingError(f"`tracker=none` stands alone; got {' '.join(args.tracker)}")
    values = field_values(args, RunOptions)
    values["validate"] = tuple(
        find_held(text, cache=args.cache, tell=logger.info) for text in args.validate
    )
    trackers = () if args.tracker == ["none"] else tuple(dict.fromkeys(args.tracker))
    return RunOptions(**values | {"weights": weights, "trackers": trackers})


def find_shards(args: Namespace) -> "list[ShardSet] | list[StreamSet]":
    """The builds to train on; without --stream those at URLs are copied first.

    Raises: PanpriorError.
    """
    from fusiontrain.data.shard_location import find_set, find_stream

    if args.stream:
        return [find_stream(text) for text in args.shards]
    return [find_set(text, cache=args.cache, tell=logger.info) for text in args.shards]


def changed_run_options(args: Namespace) -> list[str]:
    """Fields of RunOptions with flags of their own that are not at their defaults."""
    values, defaults = field_values(args, RunOptions), field_defaults(RunOptions)
    names = [name for name in values if name not in _RUN_BY_HAND]
    return [name for name in names if values[name] != defaults[name]]


def _defaults(recipe: str) -> Mapping[str, Any]:
    config = find_recipe(recipe)
    return {name: getattr(config, name) for name in TrainConfig.__dataclass_fields__}
