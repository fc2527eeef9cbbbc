"""Whole builds as functions that return frozen configurations."""

from collections.abc import Callable

from simgen.config import Recipe
from simgen.errors import ConfigError
from simgen.recipes.guides import guides, guides_x6
from simgen.recipes.paper import paper
from simgen.recipes.ratio import at_ratio
from simgen.recipes.scene import scene, scene_soft, scene_x2
from simgen.recipes.sensor import (
    sensor,
    sensor_clean,
    sensor_fixed,
    sensor_like,
    sensor_quiet,
    sensor_soft,
)
from simgen.recipes.wald import WALD, wald

RECIPES: dict[str, Callable[[], Recipe]] = {
    "paper": paper,
    "sensor": sensor,
    "sensor-clean": sensor_clean,
    "sensor-fixed": sensor_fixed,
    "sensor-quiet": sensor_quiet,
    "sensor-soft": sensor_soft,
    "scene": scene,
    "scene-soft": scene_soft,
    "scene-x2": scene_x2,
    "guides": guides,
    "guides-x6": guides_x6,
    WALD: wald,
    f"{WALD}-x2": lambda: at_ratio(wald(), 2),
    "sensor-x2": lambda: at_ratio(sensor(), 2),
    "sensor-quiet-x2": lambda: at_ratio(sensor_quiet(), 2),
    "sensor-x3": lambda: at_ratio(sensor(), 3),
    "sensor-x5": lambda: at_ratio(sensor(), 5),
    "sensor-x6": lambda: at_ratio(sensor(), 6),
}


def find_recipe(name: str, *, like: str | None = None) -> Recipe:
    """The named recipe; `like` replaces its drawn sensors by one, see sensor_like()."""
    if name not in RECIPES:
        raise ConfigError(f"no recipe {name!r}; have: {', '.join(RECIPES)}")
    if like is None:
        return RECIPES[name]()
    if name != "sensor":
        raise ConfigError(f"`like_sensor` goes with `recipe=sensor`; got `recipe={name}`")
    return sensor_like(like)


__all__ = ["RECIPES", "at_ratio", "find_recipe"]
