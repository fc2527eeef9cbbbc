"""Where PAN lies on the MS: a sub-pixel shift, measured on the pair itself. No ground truth.

Real pairs are off by up to .4 of an MS pixel, and an injection a quarter of an MS pixel off costs
more than the choice of the method. Axes as in pan_batch.py.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from fusiontrain.imaging.filters import correlate, down_rows, mirror
from fusiontrain.imaging.pan_batch import GridPhase

Shift = tuple[float, float]  # rows, columns, PAN pixels: where on PAN the MS's pixels lie
NO_SHIFT: Shift = (0.0, 0.0)
LOBES = 6  # of the interpolation by which PAN is moved
MOST = 1.5  # MS pixels; a shift beyond it is not one that this can find
_ENOUGH = 0.01  # PAN pixels: a step under it is the last
_ROUNDS = 10
_FLAT = 1e-6  # of PAN's largest DN, a pixel: under such slopes nothing can be told
_RIM = 2  # MS pixels left out on each side, where PAN is mirrored
_HALVINGS = 5


def shift_image(image: Tensor, shift: Shift) -> Tensor:
    """(..., H, W) sampled at rows and columns i + shift by Lanczos; the edge pixel goes on."""
    for axis, part in zip((-2, -1), shift, strict=True):
        if part == 0:
            continue
        whole = round(part)
        t = torch.arange(-LOBES, LOBES + 1, dtype=torch.float64) - (part - whole)
        taps = torch.sinc(t) * torch.sinc(t / (LOBES + 1))
        taps = (taps / taps.sum()).to(image)
        side = image.shape[axis]
        index = torch.arange(-LOBES, side + LOBES, device=image.device) + whole
        image = correlate(image.index_select(axis, index.clamp(0, side - 1)), taps, axis)
    return image


@dataclass(frozen=True, slots=True)
class _Look:
    """PAN through a Gaussian at the places of the MS's pixels, moved by any shift."""

    pan: Tensor  # (1, 1, H, W) float64
    sigma: float  # PAN pixels
    ratio: int
    phase: GridPhase
    kept: Tensor  # (h, w)

    def at(self, shift: Shift, along: int | None = None) -> Tensor:
        """(pixels kept,), or its derivative by the shift `along` an axis, per PAN pixel."""
        reach = math.ceil(4 * self.sigma + MOST * self.ratio) + 1
        centre = (self.ratio - 1) / 2 if self.phase == "aligned" else self.ratio // 2
        image = self.pan
        for axis in (0, 1):
            t = torch.arange(-reach, self.ratio + reach, dtype=torch.float64)
            t = t - (centre + shift[axis])
            taps = torch.exp(-0.5 * (t / self.sigma) ** 2)
            taps = taps / taps.sum()
            if along == axis:
                taps = taps * t / self.sigma**2
            image = mirror(image, reach, 2)
            # Columns come by turning the image over: one axis' filter does for both.
            image = down_rows(image, taps[None, None], self.ratio).mT
        return image[0, 0][self.kept]


def estimate_shift(
    ms: Tensor,
    pan: Tensor,
    ratio: int,
    sigma: float,
    valid: Tensor | None = None,
    phase: GridPhase = "aligned",
) -> Shift:
    """The shift at which PAN, blurred and decimated, is best explained by all bands together.

    Shapes: (C, h, w), (1, H, W) DN, valid (h, w) bool: the MS pixels to go by.
    Units:  PAN pixels, sigma (of the blur from PAN to MS) too; (0, 0) if none is found.
    PAN is regressed on the bands and a constant, so that gains and offsets do not count; the
    shift of the least residual is found by Gauss and Newton's steps, halved where they overshoot.
    One band alone would not do: what it does not share with PAN pulls its shift to one side.
    Source: Lucas and Kanade 1981, IJCAI, 674-679, with a regression for the brightness.
    """
    kept = torch.ones_like(ms[0], dtype=torch.bool) if valid is None else valid.clone()
    kept[:_RIM], kept[-_RIM:], kept[:, :_RIM], kept[:, -_RIM:] = False, False, False, False
    if int(kept.sum()) < 4 * (ms.shape[0] + 3):
        return NO_SHIFT
    look = _Look(pan[None].double(), max(sigma, 0.5), ratio, phase, kept)
    design = torch.cat([ms, torch.ones_like(ms[:1])])[:, kept].T.double()
    explained, _ = torch.linalg.qr(design)

    def rest(values: Tensor) -> Tensor:
        return values - explained @ (explained.T @ values)

    scale = float(look.at(NO_SHIFT).abs().max())
    shift = NO_SHIFT
    residual = rest(look.at(shift))
    for _ in range(_ROUNDS):
        slopes = torch.stack([rest(look.at(shift, along=axis)) for axis in (0, 1)], 1)
        if float(slopes.square().mean(0).min()) <= (_FLAT * scale) ** 2:
            return NO_SHIFT
        step = -torch.linalg.lstsq(slopes, residual[:, None]).solution[:, 0]
        step = step.clamp(-ratio / 2, ratio / 2)
        for _ in range(_HALVINGS):
            tried: Shift = (shift[0] + float(step[0]), shift[1] + float(step[1]))
            left = rest(look.at(tried))
            if float(left.square().sum()) < float(residual.square().sum()):
                break
            step = step / 2
        else:
            break  # no step helps: this is the place
        shift, residual = tried, left
        if float(step.abs().max()) < _ENOUGH:
            break
    if not all(math.isfinite(part) and abs(part) <= MOST * ratio for part in shift):
        return NO_SHIFT
    return shift
