"""An image sampled between its pixels, for grids that begin half a pixel apart. Pure."""

import torch
from torch import Tensor

BEFORE, AFTER = 1, 2  # pixels a cubic needs around the two between which it samples


def cubic_taps(shift: float) -> tuple[float, float, float, float]:
    """Weights of pixels -1, 0, 1, 2 for a sample at `shift` in [0, 1) pixels; their sum is 1.

    Source: Keys 1981, IEEE TASSP 29(6):1153-1160, a = -1/2.
    """
    t = shift
    return (
        t * (-0.5 + t * (1.0 - 0.5 * t)),
        1.0 + t * t * (-2.5 + 1.5 * t),
        t * (0.5 + t * (2.0 - 1.5 * t)),
        t * t * (-0.5 + 0.5 * t),
    )


def sample_between(
    image: Tensor, valid: Tensor, shift: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """(C, H, W) and its (H, W) validity, at rows and columns i + BEFORE + shift.

    Each side loses BEFORE + AFTER pixels. A sample is valid if all pixels it is made of are.
    """
    for axis, part in zip((-2, -1), shift, strict=True):
        length = image.shape[axis] - BEFORE - AFTER
        taps = cubic_taps(part)
        image = torch.stack(
            [image.narrow(axis, k, length) * tap for k, tap in enumerate(taps)]
        ).sum(0)
        valid = torch.stack(
            [valid.narrow(axis, k, length) for k, tap in enumerate(taps) if tap]
        ).all(0)
    return image, valid
