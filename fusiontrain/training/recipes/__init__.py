"""Whole runs as functions that return frozen data. A table, not a registry."""

from collections.abc import Callable

from fusiontrain.errors import TrainingError
from fusiontrain.training.config import TrainConfig
from fusiontrain.training.recipes.finetune import finetune_freeze, finetune_full
from fusiontrain.training.recipes.one_shot import one_shot, one_shot_freeze
from fusiontrain.training.recipes.pretrain import pretrain, pretrain_paper
from fusiontrain.training.recipes.release import (
    release,
    release_more,
    release_open,
    release_scene,
    release_sensor,
    release_small,
)
from shards.near_names import did_you_mean

PRETRAIN: dict[str, Callable[[], TrainConfig]] = {
    "pretrain": pretrain,
    "pretrain_paper": pretrain_paper,
    "release": release,
    "release_small": release_small,
    "release_open": release_open,
}
FINETUNE: dict[str, Callable[[], TrainConfig]] = {
    "finetune_full": finetune_full,
    "finetune_freeze": finetune_freeze,
    "release_more": release_more,
    "release_scene": release_scene,
    "release_sensor": release_sensor,
    "one_shot": one_shot,
    "one_shot_freeze": one_shot_freeze,
}
RECIPES = PRETRAIN | FINETUNE


def find_recipe(name: str) -> TrainConfig:
    """Raises: TrainingError naming those there are."""
    if name not in RECIPES:
        guess = did_you_mean(name, RECIPES)
        raise TrainingError(f"no recipe {name!r}; have: {', '.join(RECIPES)} ({__name__}){guess}")
    return RECIPES[name]()
