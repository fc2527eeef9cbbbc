"""Band shifts: where each band of the MS lies beside the shift of all bands.

Detectors scan the bands one after another, so that bands lie up to a PAN pixel apart. Axes as in
pan_batch.py.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from fusiontrain.imaging.neighbourhoods import (
    NEIGHBOURHOOD,
    detail_weight,
    local_gain,
    local_mean,
)
from fusiontrain.imaging.pan_batch import GridPhase
from fusiontrain.imaging.shift_estimation import BlurredPan, Shift, shift_image

_STEPS = 3
_MIN_EXPLAINED = 0.3  # of a band's variance, by PAN
_MAX_ERROR = 0.12  # PAN pixels, standard error of an accepted shift
_SIMILAR = 0.8  # correlation of details from which a band is given another's shift
_CORRELATED = 9  # MS pixels whose residuals are one


def estimate_band_shifts(
    ms: Tensor,
    pan: Tensor,
    ratio: int,
    sigma: float,
    shift: Shift,
    valid: Tensor | None = None,
    phase: GridPhase = "aligned",
) -> Tensor:
    """Position of each band's pixels on PAN beside `shift`: (C, 2); 0 where it is uncertain.

    Shapes and units: as estimate_shift.
    In its neighbourhood a band is a multiple of PAN, of either sign; the smallest residual is
    found by Gauss-Newton steps. Where PAN explains little of a band, or the standard error is
    large, it is given the shift of the most similar band that has one. One band alone says
    nothing of where bands lie beside each other, and the scene's shift is estimated on all.
    """
    C, h, w = ms.shape
    none = torch.zeros(C, 2, dtype=torch.float64)
    every = torch.ones(h, w, dtype=torch.bool)
    used = every.clone() if valid is None else valid.clone()
    reach = math.ceil(NEIGHBOURHOOD)
    used = -F.max_pool2d(-used[None].double(), 2 * reach + 1, 1, reach)[0]
    used[:reach], used[-reach:], used[:, :reach], used[:, -reach:] = 0, 0, 0, 0
    if float(used.sum()) < 4 * _CORRELATED * C:
        return none
    blurred = BlurredPan(pan[None].double(), max(sigma, 0.5), ratio, phase, every)
    images = [blurred.at(shift), blurred.at(shift, along=0), blurred.at(shift, along=1)]
    pan_and_slopes = torch.stack(images).reshape(3, h, w)
    start = _detail(pan_and_slopes)  # where every band's search starts
    shifts = [_band_shift(band.double(), pan_and_slopes, start, used, ratio) for band in ms]
    if sum(found is not None for found in shifts) < 2:
        return none
    own = _with_similar(shifts, ms.double(), used)
    return torch.stack([none[0] if found is None else found for found in own])


def _with_similar(shifts: list[Tensor | None], ms: Tensor, used: Tensor) -> list[Tensor | None]:
    """Bands without a shift are given that of the band whose detail is most similar, if any is."""
    certain = [band for band, found in enumerate(shifts) if found is not None]
    if len(certain) == len(shifts):
        return shifts
    details = torch.stack([(band - local_mean(band)).flatten() for band in ms])
    similarity = torch.corrcoef(details * used.flatten()).nan_to_num()
    own = list(shifts)
    for band, found in enumerate(shifts):
        nearest = max(certain, key=lambda other: float(similarity[band, other]))
        if found is None and float(similarity[band, nearest]) >= _SIMILAR:
            own[band] = shifts[nearest]
    return own


def _detail(pan_and_slopes: Tensor) -> tuple[list[Tensor], Tensor]:
    """Each image less its local mean; the first one's square, in its local mean."""
    details = [image - local_mean(image) for image in pan_and_slopes]
    return details, local_mean(details[0].square())


def _band_shift(
    band: Tensor,
    pan_and_slopes: Tensor,
    start: tuple[list[Tensor], Tensor],
    used: Tensor,
    ratio: int,
) -> Tensor | None:
    """(2,) PAN pixels, or None; `pan_and_slopes`: (3, h, w), PAN at the MS pixels.

    `start`: `_detail` of these, without a shift.
    """
    band = band - local_mean(band)
    power = local_mean(band.square())
    weight = detail_weight(used, power).flatten()
    found = torch.zeros(2, dtype=torch.float64)
    for step in range(_STEPS):
        at = (float(found[0]) / ratio, float(found[1]) / ratio)
        (pan, *slopes), of_pan = _detail(shift_image(pan_and_slopes, at)) if step else start
        gain = local_gain(local_mean(pan * band), of_pan, pan.square().mean())
        residual = (band - gain * pan).flatten()
        design = torch.stack([(gain * slope).flatten() for slope in slopes], 1)
        normal = design.T @ (weight[:, None] * design)
        if not bool(torch.isfinite(normal).all()) or float(torch.linalg.det(normal)) <= 0:
            return None
        found = found + torch.linalg.solve(normal, design.T @ (weight * residual))
        if not bool(torch.isfinite(found).all()) or float(found.abs().max()) > ratio:
            return None
    error = float((weight * residual.square()).sum())
    variance = torch.linalg.inv(normal).diagonal() * _CORRELATED * error / float(used.sum())
    explained = 1 - error / max(float((weight * band.flatten().square()).sum()), 1e-12)
    certain = explained >= _MIN_EXPLAINED and float(variance.max()) ** 0.5 <= _MAX_ERROR
    return found if certain else None
