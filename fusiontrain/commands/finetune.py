"""Tune a pretrained network on shards of a sensor, or on one scene of it."""

import argparse
from pathlib import Path

from fusiontrain.commands.training_options import (
    RUNNING_FLAGS,
    add_flags,
    configure,
    find_sets,
    running,
)
from fusiontrain.errors import TrainingError
from fusiontrain.evaluation.protocols import reduced
from fusiontrain.models.checkpoints import CheckpointInfo, load_checkpoint, save_checkpoint
from fusiontrain.models.pretrained_weights import DEFAULT, find_weights
from fusiontrain.models.registry import find_model
from fusiontrain.scenes.discovery import find_scenes
from fusiontrain.training.config import TrainConfig
from fusiontrain.training.one_shot import tune
from fusiontrain.training.recipes import FINETUNE, find_recipe
from shards.manifest import file_sha256

_SHARDS_ONLY = ("max_minutes", "ema_decay", "precision")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_flags(parser, recipes=FINETUNE, default="finetune_full", shards=False)
    parser.add_argument(
        "--weights",
        type=find_weights,
        default=DEFAULT,
        help="to start from; shipped: default, small",
    )
    parser.add_argument(
        "--learn-from",
        type=Path,
        metavar="PATH",
        help="of the one_shot recipes: the one to learn from",
    )


def run(args: argparse.Namespace) -> int:
    one = args.recipe.startswith("one_shot")
    if one == bool(args.shards) or one != (args.learn_from is not None):
        wanted, other = ("--learn-from", "--shards") if one else ("--shards", "--learn-from")
        raise TrainingError(f"--recipe {args.recipe} takes {wanted}, and no {other}")
    if one and (idle := _idle(args)):
        raise TrainingError(
            f"--recipe {args.recipe} knows nothing of {', '.join(idle)}\n"
            "  do: leave out what is named, or tune on shards (finetune_full)"
        )
    info = load_checkpoint(args.weights)[1]
    config = configure(
        find_recipe(args.recipe), args, model=info.model, initial=file_sha256(args.weights)
    )
    if one:
        _on_one_scene(args, config)
        return 0
    from fusiontrain.training.run import (
        train,  # accelerate and all that; one scene needs none of it
    )

    outcome = train(config, find_sets(args), args.out, running(args, args.weights))
    verb = "found, already tuned," if outcome.reused else "tuned"
    print(f"fusiontrain: {verb} {outcome.weights} ({outcome.steps} steps, loss {outcome.loss:.4f})")
    return 0


def _idle(args: argparse.Namespace) -> list[str]:
    """Flags that were given and that tuning on one scene knows nothing of."""
    told = [name for name in (*_SHARDS_ONLY, *RUNNING_FLAGS) if hasattr(args, name)]
    told += [
        name for name in ("validate", "scenes", "compile", "cache", "stream") if getattr(args, name)
    ]
    return [f"--{name.replace('_', '-')}" for name in told]


def _on_one_scene(args: argparse.Namespace, config: TrainConfig) -> None:
    found = find_scenes([args.learn_from])
    if len(found) != 1:
        raise TrainingError(
            f"--learn-from {args.learn_from} holds {len(found)} scenes; one-shot learns from one"
        )
    path = args.out / "model.safetensors"
    if path.exists():
        raise TrainingError(f"{path} exists\n  do: give --out another folder, or delete this one")
    try:
        args.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError(f"cannot write to {args.out}: {error.strerror}") from error
    net, info = load_checkpoint(args.weights)
    case = reduced(found[0].load())
    tuned = tune(net, find_model(info.model), case, config)
    training = {
        "recipe": {"name": args.recipe, "sha256": config.digest},
        "config": config.as_data(),
        "scene": found[0].name,
        "steps": config.max_steps,
        "pretraining": info.training,
    }
    told = CheckpointInfo(model=info.model, sizes=info.sizes, training=training)
    save_checkpoint(path, tuned, told)
    print(f"fusiontrain: tuned {path} on {found[0].name} ({config.max_steps} steps)")
