"""The factor that brings reflectance, and other values far from the size of DN, to it.

Networks and some methods have limits in DN, as least variances, which DN never meet.
"""

import math

from torch import Tensor

from fusiontrain.imaging.tiling import Box
from fusiontrain.scenes.geo_pair import GeoPair
from fusiontrain.scenes.raster import sample_windows

_LEAST, _MOST = 16.0, 2.0**20  # the largest value of images that are left as they are
_AIM = 11  # the largest of others is brought to between 2**10 and 2**11


def dn_factor(largest: float) -> float:
    """A power of two, which changes no digit; 1 where the largest value lies in 16 to 2**20."""
    if largest == 0 or _LEAST <= largest <= _MOST or not math.isfinite(largest):
        return 1.0
    return 2.0 ** (_AIM - math.frexp(largest)[1])


def of_small_integers(pair: GeoPair) -> bool:
    """Whether the files are of 8 or 16 bits: their size is known without a look."""
    types = (pair.pan_file.dtype, pair.ms_file.dtype)
    return all(dtype.kind in "ui" and dtype.itemsize <= 2 for dtype in types)


def guides_factor(pair: GeoPair) -> float:
    """Of guides and bands together, by the guides."""
    if of_small_integers(pair):
        return 1.0

    def read(box: Box) -> tuple[Tensor, Tensor]:
        window = pair.read(box)
        return window.pan, window.valid

    guides, valid = sample_windows(*pair.shape, read)
    return dn_factor(float(guides.where(valid, 0.0).abs().max()))
