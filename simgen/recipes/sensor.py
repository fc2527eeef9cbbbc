"""Our simulation: sensors that do not exist but could."""

from dataclasses import replace

from shards.sensors import find_sensor
from simgen.config import Recipe


def sensor() -> Recipe:
    """The scene first, on a grid twice finer than the PAN's; then target, PAN and MS.

    Each is seen through its own drawn MTF; the target's is the softness that networks are
    told. DN fall about where real sensors' do: see docs/RECIPES.md.
    Cost: about 12 samples of 4 bands and 256 pixels a second and core (AVX2, 2025).
    """
    return Recipe(
        name="sensor",
        pan_gain=(0.7, 1.1),
        pan_offset=(0.0, 0.05),
        bits=(8, 10, 11, 11, 12),
        gamma=(1.0, 2.2),
        band_gain=(0.15, 0.65),
        band_offset=(0.0, 0.08),
        read_noise=(0.0, 0.002),
        shot_noise=(0.0, 4e-5),
    )


def sensor_like(name: str) -> Recipe:
    """`sensor` with one instrument's own gains, ratio and bit depth: for tests, not training."""
    row = find_sensor(name)
    return replace(sensor(), like_sensor=row.name, ratio=row.ratio, bits=(row.bits,))
