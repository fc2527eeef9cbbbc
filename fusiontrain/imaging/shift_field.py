"""Shift field: the shift between PAN and MS as a function of the place in the scene.

A polynomial of low order, for terrain and attitude, and steps along rows or columns, where a
scanner's arrays meet or resampling by the nearest pixel dropped or doubled a line.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from fusiontrain.imaging.shift_estimation import LOBES, Shift, lanczos_taps

_FRACTIONS = 1024  # of a pixel, in the table of taps


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """A change of the shift beyond a line of the scene."""

    axis: int  # 0: between rows, 1: between columns
    at: float  # MS pixels: the first index beyond it
    change: Shift  # PAN pixels


@dataclass(frozen=True, kw_only=True, slots=True)
class ShiftField:
    """Shift of the MS at every place of the scene, PAN pixels, as `Shift`."""

    shape: tuple[int, int]  # of the scene, MS pixels
    degree: int
    coefficients: Tensor  # (terms, 2), of `monomials`
    steps: tuple[Step, ...] = ()
    within: tuple[tuple[float, float], tuple[float, float]]  # rows, columns; constant beyond

    def at(self, rows: Tensor, columns: Tensor) -> Tensor:
        """(n,) row and (m,) column indices of MS pixels, fractions too -> (2, n, m)."""
        axes = []
        for places, size, (low, high) in zip((rows, columns), self.shape, self.within, strict=True):
            axes.append(2 * (places.double().clamp(low, high) + 0.5) / size - 1)
        y, x = axes[0][:, None], axes[1][None]
        terms = [y**i * x**j for i, j in powers(self.degree)]
        field = sum(
            term[None] * part[:, None, None]
            for term, part in zip(terms, self.coefficients.double(), strict=True)
        )
        assert isinstance(field, Tensor)
        for step in self.steps:
            places = rows[:, None] if step.axis == 0 else columns[None]
            change = torch.tensor(step.change, dtype=torch.float64)[:, None, None]
            field = field + change * (places >= step.at)
        return field

    def over_scene(self) -> Tensor:
        """(2, n, m): the field on a grid of some 33 places an axis and beside every step."""
        axes = []
        for axis, size in enumerate(self.shape):
            even = torch.linspace(0, size - 1, min(size, 33))
            beside = [s.at - d for s in self.steps if s.axis == axis for d in (0.5, 0)]
            axes.append(torch.cat([even, torch.tensor(beside)]).sort().values)
        return self.at(*axes)

    def moved_by(self, shift: Shift) -> "ShiftField":
        """The field with a shift added everywhere."""
        terms = self.coefficients.clone()
        terms[0] += torch.tensor(shift, dtype=terms.dtype)
        return replace(self, coefficients=terms)

    @property
    def most(self) -> float:
        """Largest shift along an axis, PAN pixels."""
        return float(self.over_scene().abs().max())


def powers(degree: int) -> list[tuple[int, int]]:
    """Exponents of rows and columns."""
    return [(i, j) for i in range(degree + 1) for j in range(degree + 1 - i)]


def resample(image: Tensor, offsets: Tensor) -> Tensor:
    """(C, H, W) sampled at i + offsets (2, H, W), by the Lanczos kernel of shift_image.

    First along columns, then along rows; edge pixels replicated. The offsets may jump, and
    otherwise vary by little from one pixel to the next.
    """
    return _along(_along(image, offsets[1], 2), offsets[0], 1)


def _along(image: Tensor, offsets: Tensor, axis: int) -> Tensor:
    """(C, H, W) sampled at i + offsets (H, W) along an axis."""
    if not bool(offsets.any()):
        return image
    size = image.shape[axis]
    own = torch.arange(size, device=image.device)
    own = own[:, None] if axis == 1 else own[None]
    whole = offsets.round()
    fraction = ((offsets - whole + 0.5) * _FRACTIONS).round().long()
    steps = torch.arange(_FRACTIONS + 1, dtype=torch.float64) / _FRACTIONS - 0.5
    table = lanczos_taps(steps).to(image)  # (fractions, taps)
    start = own + whole.long()
    out = torch.zeros_like(image)
    for lobe in range(-LOBES, LOBES + 1):
        index = (start + lobe).clamp(0, size - 1).expand(image.shape)
        out += table[:, lobe + LOBES][fraction] * image.gather(axis, index)
    return out
