"""The factor that brings reflectance, and other values far from the size of DN, to it.

Networks and some methods have limits in DN, as least variances, which DN never meet.
"""

import math

_LEAST, _MOST = 16.0, 2.0**20  # the largest value of images that are left as they are
_AIM = 11  # the largest of others is brought to between 2**10 and 2**11


def dn_factor(largest: float) -> float:
    """A power of two, which changes no digit; 1 where the largest value lies in 16 to 2**20."""
    if largest == 0 or _LEAST <= largest <= _MOST or not math.isfinite(largest):
        return 1.0
    return 2.0 ** (_AIM - math.frexp(largest)[1])
