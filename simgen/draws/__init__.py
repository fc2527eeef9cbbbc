"""The only dice: (recipe, bands, seed, key, image size) -> a frozen Draw, and its fields.

Every number comes from numpy's PCG64 keyed by seed and sample, so a sample is the same
whatever its place in a batch, a shard or a process.
"""

from simgen.draws.fields import Noise, draw_displacements, draw_noise, draw_texture
from simgen.draws.sample import Draw, draw_sample

__all__ = ["Draw", "Noise", "draw_displacements", "draw_noise", "draw_sample", "draw_texture"]
