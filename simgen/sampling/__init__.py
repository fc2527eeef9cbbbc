"""All random numbers of a sample: its parameters, and the fields made of them.

Every number comes from numpy's PCG64 keyed by seed and sample, so a sample is the same
whatever its place in a batch, a shard or a process.
"""

from simgen.sampling.fields import (
    Noise,
    draw_displacements,
    draw_noise,
    draw_texture,
    draw_texture_nodes,
)
from simgen.sampling.sample import SampleParameters, sample_parameters

__all__ = [
    "Noise",
    "SampleParameters",
    "draw_displacements",
    "draw_noise",
    "draw_texture",
    "draw_texture_nodes",
    "sample_parameters",
]
