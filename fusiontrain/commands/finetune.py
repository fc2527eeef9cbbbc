"""Tune a pretrained network on shards of a sensor, or on one scene of it."""

from argparse import Namespace
from pathlib import Path

from fusiontrain.commands.choices import SHIPPED_WEIGHTS
from fusiontrain.commands.config_parser import ConfigParser
from fusiontrain.commands.run_config import config_text
from fusiontrain.commands.training_options import (
    changed_run_options,
    configure,
    find_shards,
    run_options,
    training_parser,
)
from fusiontrain.errors import TrainingError
from fusiontrain.training.recipes import FINETUNE, find_recipe
from shards.console import print_result

_SHARDS_ONLY = ("max_minutes", "ema_decay", "precision")  # of TrainConfig


def make_parser() -> ConfigParser:
    parser = training_parser(
        "fusiontrain finetune", __doc__, recipes=FINETUNE, default="finetune_full", shards=False
    )
    parser.add_argument(
        "--weights",
        type=Path,
        default=Path("default-sensor"),
        metavar="PATH",
        help=f"weights to start from: {', '.join(SHIPPED_WEIGHTS)} or a .safetensors file",
    )
    parser.add_argument(
        "--model",
        dest="own_model",  # recipes set a default for `model`
        metavar="MODULE:CLASS",
        help="your own network, which the weights are of",
    )
    parser.add_argument(
        "--learn-from", type=Path, metavar="PATH", help="the scene that one_shot recipes learn from"
    )
    return parser


def run(args: Namespace) -> int:
    from fusiontrain.models.checkpoints import load_checkpoint
    from fusiontrain.models.pretrained_weights import find_weights
    from fusiontrain.models.registry import find_asked
    from shards.manifest import file_sha256

    one_scene = args.recipe.startswith("one_shot")
    _check_flags(args, one_scene)
    weights = find_weights(args.weights)
    if args.own_model is not None:
        find_asked(args.own_model)
    model = _model_after(load_checkpoint(weights, expect=args.own_model)[1].model, args.recipe)
    config = configure(args, model=model, initial=file_sha256(weights))
    text = config_text(make_parser(), args)
    if one_scene:
        from fusiontrain.training.one_shot_run import tune_to_file

        tuned = tune_to_file(
            weights, args.learn_from, args.out, config, recipe=args.recipe, config_file=text
        )
        print_result(
            f"fusiontrain: tuned {tuned.weights} on {tuned.scene} ({config.max_steps} steps, loss "
            f"{tuned.loss:.4f})"
        )
        return 0
    from fusiontrain.training.run import train

    options = run_options(args, weights)
    outcome = train(config, find_shards(args), args.out, options, config_file=text)
    verb = "found, already tuned," if outcome.reused else "tuned"
    print_result(
        f"fusiontrain: {verb} {outcome.weights} ({outcome.steps} steps, loss {outcome.loss:.4f})"
    )
    return 0


def _model_after(model: str, recipe: str) -> str:
    """The model that a recipe makes of weights: their own, or one that continues it.

    Raises: TrainingError for weights that went on to another target.
    """
    from fusiontrain.models.registry import find_model

    own = find_model(find_recipe(recipe).model)
    if own.continues == model:
        return own.name
    if own.name != model and own.continues and own.continues == find_model(model).continues:
        raise TrainingError(
            f"`recipe={recipe}` trains {own.name}, on from weights of {own.continues}; these are "
            f"of {model}, which ends otherwise: give weights of {own.continues} or of {own.name}"
        )
    return model


def _check_flags(args: Namespace, one_scene: bool) -> None:
    if one_scene == bool(args.shards) or one_scene != (args.learn_from is not None):
        needed, other = ("learn_from", "shards") if one_scene else ("shards", "learn_from")
        raise TrainingError(f"`recipe={args.recipe}` takes `{needed}`, and no `{other}`")
    if one_scene and (ignored := _ignored(args)):
        raise TrainingError(
            f"`recipe={args.recipe}` does not use {', '.join(f'`{name}`' for name in ignored)}\n"
            "  do: leave them out, or tune on shards (finetune_full)"
        )


def _ignored(args: Namespace) -> list[str]:
    """Parameters that were given and that tuning on one scene does not use."""
    recipe = find_recipe(args.recipe)
    names = [name for name in _SHARDS_ONLY if getattr(args, name) != getattr(recipe, name)]
    names += changed_run_options(args)
    return names + [name for name in ("validate", "cache") if getattr(args, name)]
