"""Colour difference as the eye sees it: CIEDE2000 of sRGB images, mean over pixels."""

import math

import torch
from torch import Tensor

from fusiontrain.errors import ShapeError
from fusiontrain.metrics.input_checks import as_pair

# sRGB (IEC 61966-2-1) to XYZ, and the white of D65.
_TO_XYZ = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)
_WHITE = (0.95047, 1.0, 1.08883)
_FAR = 25.0**7


def delta_e(gt: Tensor, fused: Tensor, *, valid: Tensor | None = None) -> Tensor:
    """Mean CIEDE2000 of two sRGB images in 0..1, (3, H, W) or (N, 3, H, W) -> () or (N,).

    About 1 is the least difference that is seen; 0 is perfect. Values beyond 0..1 are clipped, as a
    screen does. Symmetric.
    Raises: ShapeError unless there are three bands; MetricError as in input_checks.py.
    Source: Sharma, Wu and Dalal 2005, Color Research and Application 30(1):21-30.
    """
    pair = as_pair(gt, fused, valid)
    if pair.gt.shape[1] != 3:
        raise ShapeError(f"colour difference needs red, green and blue; got {tuple(gt.shape)}")
    first, second = (
        srgb_to_lab(image.double().clamp(0, 1).movedim(1, -1)) for image in (pair.gt, pair.fused)
    )
    values = ciede2000(first, second)
    if pair.valid is None:
        return pair.give(values.mean((-2, -1)))
    return pair.give((values * pair.valid).sum((-2, -1)) / pair.valid.sum((-2, -1)))


def srgb_to_lab(rgb: Tensor) -> Tensor:
    """(..., 3) sRGB in 0..1 -> (..., 3) L*, a*, b* under D65."""
    linear = torch.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    xyz = linear @ rgb.new_tensor(_TO_XYZ).T / rgb.new_tensor(_WHITE)
    edge = 6 / 29
    f = torch.where(xyz > edge**3, xyz.clamp_min(1e-12) ** (1 / 3), xyz / (3 * edge**2) + 4 / 29)
    x, y, z = f.unbind(-1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def ciede2000(lab: Tensor, other: Tensor) -> Tensor:
    """CIEDE2000 of (..., 3) L*, a*, b* -> (...), with unit weights kL, kC, kH.

    Source: as `delta_e`, equations 2 to 22.
    """
    (l1, a1, b1), (l2, a2, b2) = lab.unbind(-1), other.unbind(-1)
    mean_c = (torch.hypot(a1, b1) + torch.hypot(a2, b2)) / 2
    stretch = 1 + 0.5 * (1 - (mean_c**7 / (mean_c**7 + _FAR)).sqrt())
    a1, a2 = a1 * stretch, a2 * stretch
    c1, c2 = torch.hypot(a1, b1), torch.hypot(a2, b2)
    h1, h2 = (torch.rad2deg(torch.atan2(b, a)) % 360 for a, b in ((a1, b1), (a2, b2)))
    grey = c1 * c2 == 0
    turn = h2 - h1
    turn = torch.where(turn > 180, turn - 360, torch.where(turn < -180, turn + 360, turn))
    turn = torch.where(grey, 0.0, turn)
    d_l, d_c = l2 - l1, c2 - c1
    d_h = 2 * (c1 * c2).sqrt() * torch.sin(torch.deg2rad(turn) / 2)
    mean_l, mean_c = (l1 + l2) / 2, (c1 + c2) / 2
    total, apart = h1 + h2, (h1 - h2).abs() > 180
    wrapped = torch.where(total < 360, total + 360, total - 360)
    mean_h = torch.where(grey, total, torch.where(apart, wrapped, total) / 2)
    t = (
        1
        - 0.17 * _cos(mean_h - 30)
        + 0.24 * _cos(2 * mean_h)
        + 0.32 * _cos(3 * mean_h + 6)
        - 0.20 * _cos(4 * mean_h - 63)
    )
    lightness = (mean_l - 50) ** 2
    s_l = 1 + 0.015 * lightness / (20 + lightness).sqrt()
    s_c, s_h = 1 + 0.045 * mean_c, 1 + 0.015 * mean_c * t
    rotation = 60 * torch.exp(-(((mean_h - 275) / 25) ** 2))  # twice the angle, degrees
    r_t = -2 * (mean_c**7 / (mean_c**7 + _FAR)).sqrt() * torch.sin(rotation * math.pi / 180)
    parts = d_l / s_l, d_c / s_c, d_h / s_h
    squares = parts[0] ** 2 + parts[1] ** 2 + parts[2] ** 2 + r_t * parts[1] * parts[2]
    return squares.clamp_min(0).sqrt()


def _cos(degrees: Tensor) -> Tensor:
    return torch.cos(torch.deg2rad(degrees))
