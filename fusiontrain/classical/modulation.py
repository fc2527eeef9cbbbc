"""Multiplied-in details whose gain is bounded: on dark ground the divisor comes near zero.

The methods of this kind give up * pan / low, which is up + gain * (pan - low) with the gain
up / low. Where `low` is no larger than noise, or has the other sign, that gain is anything:
shadows, water and reflectance about zero came out at 65535, or with their sign turned.
"""

import torch
from torch import Tensor

from fusiontrain.classical.images import TINY, MethodInputs

MOST = 2.0  # times the scene's own gain
DARK = 0.25  # of the mean of the divisor; below it, the scene's own gain


def modulated(
    f: MethodInputs,
    up: Tensor,
    pan: Tensor,
    low: Tensor,
    *,
    level: Tensor,
    typical: Tensor | float = 1.0,
) -> Tensor:
    """The image up * pan / low, with a bounded gain up / low.

    Shapes: up (B, C, H, W); pan and low that or (B, 1, H, W), DN. level: the mean of `low`,
    (B, C or 1, 1, 1). typical: the gain that the scene's statistics give, (B, C, 1, 1) or one
    number; negative where a band runs against PAN. Details are added with that gain where low is
    under DARK * level; elsewhere the gain lies within 0 and MOST * typical.
    In the toolbox's phase nothing is bounded, as in the toolbox.
    """
    exact = up * pan / (low + TINY)
    if f.toolbox:
        return exact
    share = up / low / typical
    dark = low.abs() < DARK * level.abs()
    gain = torch.where(dark, 1.0, share.clamp(0, MOST))
    inside = ~dark & (share >= 0) & (share <= MOST)
    return torch.where(inside, exact, up + gain * typical * (pan - low))


def proportion(f: MethodInputs) -> Tensor:
    """(B, C, H, W): each band over the mean of the bands, which is 0 to C where no band is below 0.

    There it is cut to that range, save in the toolbox's phase.
    """
    mean = f.up.mean(1, keepdim=True)
    if f.toolbox:
        return f.up / (mean + TINY)
    return (f.up / mean).nan_to_num(1.0).clamp(0, f.bands)
