"""Flags of the doors that train: made from the frozen configuration, one a field."""

import argparse
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from fusiontrain.data.shard_integrity import ShardSet
from fusiontrain.data.shard_location import StreamSet, find_held, find_set, find_stream
from fusiontrain.errors import TrainingError
from fusiontrain.training.config import RunOptions, Schedule, TrainConfig

TRACKERS = ("tensorboard", "wandb", "trackio")
_CONFIG: dict[str, tuple[Any, str]] = {  # field -> its type, what it is
    "max_steps": (int, "of the global batch"),
    "max_minutes": (float, "wall clock; whichever ends first"),
    "batch_size": (int, "crops a step, over all processes"),
    "crop": (int, "PAN pixels a side"),
    "learning_rate": (float, "at its highest"),
    "schedule": (get_args(Schedule), "of the learning rate"),
    "warmup_steps": (int, "of the learning rate"),
    "decay_share": (float, "of the run, in which wsd cools down"),
    "clip_norm": (float, "of gradients; 0: not clipped"),
    "ema_decay": (float, "of averaged weights; 0: none"),
    "seed": (int, "of weights, order and crops"),
    "precision": (("no", "bf16", "fp16"), "of the network's arithmetic"),
}
_RUNNING: dict[str, tuple[Any, str]] = {
    "workers": (int, "reader processes a rank"),
    "max_bad": (str, "with --on-bad-shard skip: a share of the samples, or a count of shards"),
    "resume": (("auto", "never"), "go on from the newest whole state"),
    "accumulate": (int, "micro-batches a step and a process"),
    "save_minutes": (float, "between states"),
    "save_steps": (int, "between states too"),
    "validate_steps": (int, "between validations; 0: by the clock"),
    "validate_minutes": (float, "between validations"),
    "log_steps": (int, "between rows of log.csv"),
    "picture_steps": (int, "between pictures of one tile; 0: none"),
    "hang_minutes": (float, "without a step, then the run is ended; 0: never"),
}
RUNNING_FLAGS = tuple(_RUNNING)
_FLAGS = {"max_bad": "--max-bad-shards"}


def add_flags(
    parser: argparse.ArgumentParser, *, recipes: Iterable[str], default: str, shards: bool = True
) -> None:
    """A flag that is not given leaves the recipe's value."""
    shown = argparse.SUPPRESS
    parser.add_argument(
        "--shards",
        nargs="+",
        required=shards,
        default=[],
        metavar="DIR[:SHARE]",
        help="builds, and their shares",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument(
        "--cache",
        type=Path,
        metavar="DIR",
        help="where shards of URLs are kept; default: the user's",
    )
    parser.add_argument("--recipe", choices=list(recipes), default=default)
    for name, (kind, what) in (_CONFIG | _RUNNING).items():
        flag = _FLAGS.get(name, f"--{name.replace('_', '-')}")
        if isinstance(kind, tuple):
            parser.add_argument(flag, dest=name, choices=kind, default=shown, help=what)
        else:
            parser.add_argument(flag, dest=name, type=kind, default=shown, help=what)
    parser.add_argument(
        "--stream",
        action="store_true",
        help="read the shards over the network as they come, without a copy on disk",
    )
    parser.add_argument("--on-bad-shard", choices=["fail", "skip"], default="fail")
    parser.add_argument("--compile", action="store_true", help="torch.compile")
    parser.add_argument("--validate", nargs="+", default=[], metavar="DIR|URL", help="held builds")
    parser.add_argument(
        "--scenes", type=Path, nargs="+", default=[], metavar="PATH", help="real, only measured"
    )
    parser.add_argument(
        "--tracker", nargs="+", choices=[*TRACKERS, "none"], default=["tensorboard"]
    )


def configure(recipe: TrainConfig, args: argparse.Namespace, **more: Any) -> TrainConfig:
    """The recipe with the flags that were given. Raises: TrainingError."""
    given = {name: getattr(args, name) for name in _CONFIG if hasattr(args, name)}
    return replace(recipe, **given, **more)


def running(args: argparse.Namespace, weights: Path | None = None) -> RunOptions:
    """How it is run, held builds at URLs being fetched. Raises: PanpriorError."""
    given = {name: getattr(args, name) for name in _RUNNING if hasattr(args, name)}
    if "none" in args.tracker and len(args.tracker) > 1:
        raise TrainingError(f"--tracker none stands alone; got {' '.join(args.tracker)}")
    return RunOptions(
        recipe=args.recipe,
        weights=weights,
        stream=args.stream,
        on_bad=args.on_bad_shard,
        compiled=args.compile,
        validate=tuple(find_held(text, cache=args.cache, tell=_tell) for text in args.validate),
        scenes=tuple(args.scenes),
        trackers=() if args.tracker == ["none"] else tuple(dict.fromkeys(args.tracker)),
        **given,
    )


def find_sets(args: argparse.Namespace) -> list[ShardSet] | list[StreamSet]:
    """The shards of --shards; without --stream those at URLs are copied first.

    Raises: PanpriorError.
    """
    if args.stream:
        return [find_stream(text) for text in args.shards]
    return [find_set(text, cache=args.cache, tell=_tell) for text in args.shards]


def _tell(text: str) -> None:
    print(f"fusiontrain: {text}", file=sys.stderr)
