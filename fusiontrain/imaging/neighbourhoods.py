"""Neighbourhoods of MS pixels, in which a band's detail is a multiple of PAN's, of either sign."""

import torch
from torch import Tensor

from fusiontrain.imaging.filters import blur

NEIGHBOURHOOD = 4.0  # MS pixels, sigma


def local_mean(image: Tensor) -> Tensor:
    """(h, w) -> (h, w): the mean under a Gaussian of NEIGHBOURHOOD about each pixel."""
    sigma = torch.full((1, 1), NEIGHBOURHOOD, dtype=image.dtype)
    return blur(image[None, None], sigma)[0, 0]


def detail_weight(used: Tensor, power: Tensor) -> Tensor:
    """(h, w): how much a pixel counts; 0 where it is not `used`.

    power: (h, w) variance of the detail in the pixel's neighbourhood. Each neighbourhood counts by
    its own variance: bright roofs alone must not decide.
    """
    return used / (power + 0.05 * power.mean() + 1e-12)


def local_gain(of_both: Tensor, of_pan: Tensor, size: Tensor) -> Tensor:
    """(h, w): the multiple of PAN's detail that is nearest to a band's.

    of_both, of_pan: (h, w) local means of PAN's detail times the band's, and of its square;
    size: a scalar, PAN's mean square, against which flat neighbourhoods have no gain.
    """
    return of_both / (of_pan + 1e-3 * size + 1e-12)
