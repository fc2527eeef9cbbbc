"""One recipe at another ratio."""

from dataclasses import replace

from simgen.config import Recipe


def at_ratio(recipe: Recipe, ratio: int) -> Recipe:
    """The recipe with `ratio` PAN pixels per MS pixel, its tile cut to a multiple of it.

    A build has one ratio, which its manifest states; for several, make a build each and train
    on all their folders.
    """
    return replace(recipe, ratio=ratio, tile=recipe.tile - recipe.tile % ratio)
