"""Random detector of a sample: bit depth, noise, stripes and compression."""

from typing import Any

import numpy as np

from simgen.config import Recipe
from simgen.sampling.streams import maybe, uniform


def draw_detector(recipe: Recipe, rng: np.random.Generator, bands: int) -> dict[str, Any]:
    """The detector's fields of SampleParameters, by name."""
    detector = recipe.detector
    spread = rng.uniform(-detector.noise_spread, detector.noise_spread, size=bands)
    read = rng.uniform(*detector.read_noise, size=2)
    striped = rng.random() < detector.stripe_chance
    return {
        "bits": int(rng.choice(recipe.radiometry.bits)),
        "read_C": (read[0] * (1 + spread)).astype(np.float32),
        "read_pan": float(read[1]) * detector.noise_pan,
        "shot_noise": uniform(rng, detector.shot_noise),
        "noise_common": uniform(rng, detector.noise_common),
        "noise_grain": uniform(rng, detector.noise_grain),
        "stripes": (
            striped * uniform(rng, detector.stripe_gain),
            striped * uniform(rng, detector.stripe_offset),
        ),
        "stripes_down": bool(rng.random() < 0.8),
        "compression": maybe(rng, detector.compression_chance, detector.compression),
    }
