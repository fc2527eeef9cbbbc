"""Random shadows of a sample."""

import numpy as np

from simgen.config import Recipe
from simgen.physics.shadows import Shadow
from simgen.sampling.streams import uniform

_MOST = 30
_LONGEST = 4.0  # sides of one shadow


def draw_shadows(
    recipe: Recipe, rng: np.random.Generator, shape: tuple[int, int]
) -> tuple[Shadow, ...]:
    """Shadows of one sun: all of one depth, up to a fifth, on a crop of `shape` (scene grid).

    Sizes are uniform in the logarithm: most are small.
    """
    photograph = recipe.photograph
    if rng.random() >= photograph.shadow_chance:
        return ()
    light = uniform(rng, photograph.shadow)
    low, high = np.log(np.array(photograph.shadow_size) * recipe.oversample)
    shadows = []
    for _ in range(rng.integers(3, _MOST)):
        half = float(np.exp(rng.uniform(low, high)))
        shadows.append(
            Shadow(
                centre=(int(rng.integers(shape[0])), int(rng.integers(shape[1]))),
                half=(half, half * float(rng.uniform(1, _LONGEST))),
                angle=float(rng.uniform(0, np.pi)),
                ellipse=bool(rng.integers(2)),
                light=light * float(rng.uniform(0.8, 1.2)),
            )
        )
    return tuple(shadows)
