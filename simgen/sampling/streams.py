"""Random streams, one a topic: a new effect in one leaves the numbers of the others alone."""

import numpy as np

from simgen.effects import Range

PLACE, PHOTO, BANDS, PAN, OPTICS, GEOMETRY, NOISE, TEXTURE, FIELD, PIXELS, MATERIAL = range(11)
SHADOW, GUIDES = 11, 12


def stream(entropy: int, topic: int) -> np.random.Generator:
    return np.random.default_rng([entropy, topic])


def uniform(rng: np.random.Generator, between: Range) -> float:
    return float(rng.uniform(*between))


def maybe(rng: np.random.Generator, chance: float, between: Range, *, power: float = 1.0) -> float:
    """A number between, or 0 where it does not happen; as many numbers are drawn either way.

    Uniform; a power above one makes the small ones more frequent.
    """
    happens, (low, high) = rng.random() < chance, between
    value = low + (high - low) * float(rng.random()) ** power
    return value if happens else 0.0


def vector(rng: np.random.Generator, length: float) -> np.ndarray:
    angle = rng.uniform(0, 2 * np.pi)
    return length * np.array([np.sin(angle), np.cos(angle)])
