"""How bands go together, and how PAN follows from them. C bands; h w MS pixels."""

from dataclasses import dataclass

import numpy as np

_LEAST = 0.02  # of the bands' main direction: fainter ones hold noise, and weights of luck


@dataclass(frozen=True, kw_only=True, slots=True)
class Mix:
    """PAN as a sum of the bands and an offset, by least squares."""

    r2: float  # share of PAN's variance that the bands explain
    weights: np.ndarray  # (C,)
    offset: float


def band_correlations(ms_Chw: np.ndarray) -> np.ndarray:
    """Pearson's correlation of every pair of bands: (C (C-1) / 2,). Flat bands have none: NaN."""
    C = ms_Chw.shape[0]
    flat = ms_Chw.reshape(C, -1).astype(np.float64)
    flat = flat - flat.mean(1, keepdims=True)
    length = np.linalg.norm(flat, axis=1)
    flat /= np.where(length > 0, length, np.nan)[:, None]
    pairs: np.ndarray = (flat @ flat.T)[np.triu_indices(C, 1)]
    return pairs


def regress(pan_hw: np.ndarray, ms_Chw: np.ndarray) -> Mix:
    """PAN, already on the MS's grid, on the bands. R2 is NaN where PAN is flat.

    Directions of colour in which the bands vary under 2 % of their main one are left out: bands
    that are nearly one and the same would have weights that only noise decides.
    """
    bands = ms_Chw.reshape(ms_Chw.shape[0], -1).T.astype(np.float64)
    pan = pan_hw.ravel().astype(np.float64)
    centred = bands - bands.mean(0)
    weights = np.linalg.lstsq(centred, pan - pan.mean(), rcond=_LEAST)[0]
    left = pan - pan.mean() - centred @ weights
    variance = pan.var()
    return Mix(
        r2=float(1 - left.var() / variance) if variance > 0 else float("nan"),
        weights=weights,
        offset=float(pan.mean() - bands.mean(0) @ weights),
    )


def negative_share(weights: np.ndarray) -> float:
    """Of the sum of the weights' sizes, how much is negative: 0..1; NaN if all are zero."""
    size = np.abs(weights).sum()
    return float(-weights[weights < 0].sum() / size) if size > 0 else float("nan")
