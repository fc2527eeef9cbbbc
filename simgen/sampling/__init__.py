"""The only dice: (recipe, bands, seed, key, image size) -> a frozen Draw, and its fields.

Every number comes from numpy's PCG64 keyed by seed and sample, so a sample is the same
whatever its place in a batch, a shard or a process.
"""

from simgen.sampling.fields import Noise, draw_displacements, draw_noise, draw_texture
from simgen.sampling.sample import SampleParameters, sample_parameters

__all__ = [
    "Noise",
    "SampleParameters",
    "draw_displacements",
    "draw_noise",
    "draw_texture",
    "sample_parameters",
]
