"""The Gaussian blur that best explains each MS band from the PAN. C bands; h w MS pixels."""

import numpy as np

_LEAST, _MOST, _STEP = 0.1, 1.5, 0.05  # MS pixels; the most is gain .0001 at the MS Nyquist
_RIM = 3  # MS pixels at each edge, where the blur would see beyond the image
_LOCAL = 1.5  # MS pixels: sigma of the mean that is taken away, so that details decide
_LEAST_MATCH = 0.3  # correlation under which PAN's details say nothing about the band's


def seen_by_ms(
    pan_HW: np.ndarray, ratio: int, sigma: float, shift: tuple[float, float] = (0.0, 0.0)
) -> np.ndarray:
    """PAN through a Gaussian, at the centres of the MS pixels: (H, W) -> (H/ratio, W/ratio).

    Units: PAN pixels; `shift`: how far down and along PAN's content lies from the MS's.
    Border: what lies beyond the image is left out of the mean.
    """
    down, along = (
        _gauss(size // ratio, ratio, sigma, by)
        for size, by in zip(pan_HW.shape, shift, strict=True)
    )
    seen: np.ndarray = down @ pan_HW.astype(np.float64) @ along.T
    return seen


def details(img: np.ndarray, sigma: float = _LOCAL) -> np.ndarray:
    """The image (..., h, w) less its local mean under a Gaussian of `sigma` pixels."""
    down, along = (_gauss(size, 1, sigma, 0.0) for size in img.shape[-2:])
    left: np.ndarray = img - down @ img @ along.T
    return left


def best_sigmas(
    ms_Chw: np.ndarray, pan_HW: np.ndarray, ratio: int, shift: tuple[float, float]
) -> np.ndarray:
    """Per band, the sigma whose blurred PAN correlates best with the band: (C,), PAN pixels.

    Both without their local means, the rim left out. NaN where even the best hardly correlates.
    The sigma is what the MS sees beyond what PAN's own optics have blurred already.
    """
    inner = (..., slice(_RIM, -_RIM), slice(_RIM, -_RIM))
    sigmas = np.arange(_LEAST, _MOST + _STEP / 2, _STEP) * ratio
    blurred = np.stack([seen_by_ms(pan_HW, ratio, sigma, shift) for sigma in sigmas])
    ours, theirs = (_unit(details(x)[inner]) for x in (blurred, ms_Chw.astype(np.float64)))
    match_SC = ours @ theirs.T
    return np.array([_peak(sigmas, column) for column in match_SC.T])


def _peak(at: np.ndarray, height: np.ndarray) -> float:
    """Where a sampled curve is highest, by the parabola through the three highest samples."""
    top = int(np.argmax(height))
    if not height[top] >= _LEAST_MATCH:
        return float("nan")
    if top in (0, at.size - 1):
        return float(at[top])
    before, peak, after = height[top - 1 : top + 2]
    bend = before - 2 * peak + after
    offset = 0.0 if bend == 0 else 0.5 * (before - after) / bend
    return float(at[top] + offset * (at[1] - at[0]))


def _unit(img_Nhw: np.ndarray) -> np.ndarray:
    """Rows of mean 0 and length 1; a flat image has none and gives NaN."""
    flat = img_Nhw.reshape(img_Nhw.shape[0], -1)
    flat = flat - flat.mean(1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    return flat / np.where(length > 0, length, np.nan)


def _gauss(coarse: int, ratio: int, sigma: float, shift: float) -> np.ndarray:
    """(coarse, coarse * ratio): each row a Gaussian centred on its MS pixel, sum 1."""
    centre = np.arange(coarse) * ratio + (ratio - 1) / 2 + shift
    weights = np.exp(-0.5 * ((np.arange(coarse * ratio) - centre[:, None]) / sigma) ** 2)
    # A shift may put a narrow Gaussian wholly outside: its nearest pixel stands for it.
    nearest = np.clip(np.rint(centre), 0, coarse * ratio - 1).astype(int)
    weights[np.arange(coarse), nearest] += 1e-12
    normal: np.ndarray = weights / weights.sum(1, keepdims=True)
    return normal
