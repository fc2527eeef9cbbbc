"""Shift estimation: the sub-pixel registration of PAN and MS, estimated from the pair alone.

Real pairs are misregistered by up to 0.4 MS pixels. An error of 0.25 MS pixels costs more quality
than the choice of the fusion method. Axes as in pan_batch.py.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from fusiontrain.imaging.filters import correlate, filter_rows, mirror
from fusiontrain.imaging.pan_batch import GridPhase

Shift = tuple[float, float]  # rows, columns, PAN pixels: position of MS pixels on PAN
NO_SHIFT: Shift = (0.0, 0.0)
LOBES = 6  # of the Lanczos kernel that shifts PAN
MAX_SHIFT = 1.5  # MS pixels; larger estimates are rejected
_CONVERGED = 0.01  # PAN pixels; a smaller step ends the iteration
_MAX_STEPS = 10
_MIN_SLOPE = 1e-6  # of PAN's largest DN, per pixel; flatter images have no estimate
_BORDER = 2  # MS pixels left out on each side, where PAN is mirrored
_HALVINGS = 5


def shift_image(image: Tensor, shift: Shift) -> Tensor:
    """(..., H, W) resampled at i + shift by Lanczos interpolation; edge pixels replicated."""
    for axis, part in zip((-2, -1), shift, strict=True):
        if part == 0:
            continue
        whole = round(part)
        taps = lanczos_taps(torch.tensor(part - whole, dtype=torch.float64)).to(image)
        side = image.shape[axis]
        index = torch.arange(-LOBES, side + LOBES, device=image.device) + whole
        image = correlate(image.index_select(axis, index.clamp(0, side - 1)), taps, axis)
    return image


def lanczos_taps(fraction: Tensor) -> Tensor:
    """(...,) positions beyond a pixel, pixels -> (..., 2 LOBES + 1) taps of sum 1 around it."""
    t = torch.arange(-LOBES, LOBES + 1, dtype=torch.float64) - fraction[..., None]
    taps = torch.sinc(t) * torch.sinc(t / (LOBES + 1))
    return taps / taps.sum(-1, keepdim=True)


@dataclass(frozen=True)
class BlurredPan:
    """PAN, blurred by a Gaussian and sampled at the MS pixels for any shift."""

    pan: Tensor  # (1, 1, H, W) float64
    sigma: float  # PAN pixels
    ratio: int
    phase: GridPhase
    valid: Tensor  # (h, w) bool

    @property
    def reach(self) -> int:
        """Half-width of the filter for any shift, PAN pixels."""
        return math.ceil(4 * self.sigma + MAX_SHIFT * self.ratio) + 1

    @cached_property
    def mirrored(self) -> Tensor:
        """PAN with mirrored rows beyond its border."""
        return mirror(self.pan, self.reach, 2)

    @cached_property
    def place(self) -> Tensor:
        """Indices of the valid MS pixels."""
        return self.valid.flatten().nonzero()[:, 0]

    @cached_property
    def _filtered(self) -> dict[float, Tensor]:
        """Shift of the rows -> PAN filtered along them, of the last one: slopes need it again."""
        return {}

    def at(self, shift: Shift, along: int | None = None) -> Tensor:
        """(valid pixels,) DN, or the derivative with respect to the shift `along` an axis."""
        # The transposed image needs no second filter for columns.
        if along == 0:
            rows = filter_rows(self.mirrored, self._taps(shift[0], slope=True), self.ratio).mT
        elif (kept := self._filtered.get(shift[0])) is not None:
            rows = kept
        else:
            rows = filter_rows(self.mirrored, self._taps(shift[0]), self.ratio).mT
            self._filtered.clear()
            self._filtered[shift[0]] = rows
        taps = self._taps(shift[1], slope=along == 1)
        image = filter_rows(mirror(rows, self.reach, 2), taps, self.ratio).mT
        return image.flatten()[self.place]

    def _taps(self, shift: float, *, slope: bool = False) -> Tensor:
        """(1, 1, K) taps of the blur at a shift along an axis, or their derivative by it."""
        centre = (self.ratio - 1) / 2 if self.phase == "aligned" else self.ratio // 2
        t = torch.arange(-self.reach, self.ratio + self.reach, dtype=torch.float64)
        t = t - (centre + shift)
        taps = torch.exp(-0.5 * (t / self.sigma) ** 2)
        taps = taps / taps.sum()
        return (taps * t / self.sigma**2 if slope else taps)[None, None]


def estimate_shift(
    ms: Tensor,
    pan: Tensor,
    ratio: int,
    sigma: float,
    valid: Tensor | None = None,
    phase: GridPhase = "aligned",
    near: Shift = NO_SHIFT,
) -> Shift:
    """Shift for which all bands together best explain PAN, blurred and decimated.

    Shapes: ms (C, h, w), pan (1, H, W), DN; valid (h, w) bool: the MS pixels to use.
    Units:  PAN pixels, also `sigma` of the blur from PAN to MS. (0, 0) without an estimate.
    near:   where the search starts, if the residual there is smaller than without a shift.
    PAN is regressed on the bands and a constant, so that gains and offsets have no effect. The
    smallest residual is found by Gauss-Newton steps, halved where they overshoot. A single band
    would bias the shift by the detail that it does not share with PAN.
    Source: Lucas and Kanade 1981, IJCAI, 674-679, with a regression for the brightness.
    """
    used = torch.ones_like(ms[0], dtype=torch.bool) if valid is None else valid.clone()
    for edge in (used[:_BORDER], used[-_BORDER:], used[:, :_BORDER], used[:, -_BORDER:]):
        edge.fill_(False)
    if int(used.sum()) < 4 * (ms.shape[0] + 3):
        return NO_SHIFT
    blurred = BlurredPan(pan[None].double(), max(sigma, 0.5), ratio, phase, used)
    design = torch.cat([ms, torch.ones_like(ms[:1])])[:, used].T.double()
    basis, _ = torch.linalg.qr(design)

    def residual_of(values: Tensor) -> Tensor:
        return values - basis @ (basis.T @ values)

    scale = float(blurred.at(NO_SHIFT).abs().max())
    shift = NO_SHIFT
    residual = residual_of(blurred.at(shift))
    if near != NO_SHIFT:
        there = residual_of(blurred.at(near))
        if float(there.square().sum()) < float(residual.square().sum()):
            shift, residual = near, there
    for _ in range(_MAX_STEPS):
        slopes = torch.stack([residual_of(blurred.at(shift, along=axis)) for axis in (0, 1)], 1)
        if float(slopes.square().mean(0).min()) <= (_MIN_SLOPE * scale) ** 2:
            return NO_SHIFT
        step = -torch.linalg.lstsq(slopes, residual[:, None]).solution[:, 0]
        step = step.clamp(-ratio / 2, ratio / 2)
        for _ in range(_HALVINGS):
            candidate: Shift = (shift[0] + float(step[0]), shift[1] + float(step[1]))
            new_residual = residual_of(blurred.at(candidate))
            if float(new_residual.square().sum()) < float(residual.square().sum()):
                break
            step = step / 2
        else:
            break  # no step reduces the residual: a minimum
        shift, residual = candidate, new_residual
        if float(step.abs().max()) < _CONVERGED:
            break
    if not all(math.isfinite(part) and abs(part) <= MAX_SHIFT * ratio for part in shift):
        return NO_SHIFT
    return shift
