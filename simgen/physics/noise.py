"""Noise and stripes of a detector. C bands; all in units of full scale."""

import numpy as np


def add_noise(
    img: np.ndarray, normal: np.ndarray, *, read: float | np.ndarray, shot: float | np.ndarray
) -> np.ndarray:
    """Signal-dependent noise: variance read^2 + shot * signal.

    `normal` is standard normal noise of img's shape. The Gaussian form of shot noise holds
    from some ten electrons on; Foi et al. 2008, IEEE TIP 17(10):1737-1754.
    """
    sigma = np.sqrt(read**2 + shot * np.maximum(img, 0))
    return (img + sigma * normal).astype(np.float32, copy=False)


def correlated(white_CHW: np.ndarray, common_1HW: np.ndarray, share: float) -> np.ndarray:
    """Unit noise whose bands have the correlation `share`, from white noise and a common field."""
    own, all_ = np.float32(np.sqrt(1 - share)), np.float32(np.sqrt(share))
    return own * white_CHW + all_ * common_1HW


def grained(white_CHW: np.ndarray, weight: float) -> np.ndarray:
    """Unit noise of correlation between neighbours: taps weight, 1, weight on both axes.

    What on-ground resampling leaves of white noise. Border: wrapped, so that all pixels are alike.
    """
    a, centre = (np.float32(v / np.sqrt(1 + 2 * weight**2)) for v in (weight, 1.0))
    for axis in (1, 2):
        first, last = (np.take(white_CHW, [end], axis) for end in (0, -1))
        wrapped = np.concatenate([last, white_CHW, first], axis)
        size = white_CHW.shape[axis]
        before, after = (
            wrapped[:, start : start + size] if axis == 1 else wrapped[:, :, start : start + size]
            for start in (0, 2)
        )
        both = before + after
        both *= a
        white_CHW = centre * white_CHW
        white_CHW += both
    return white_CHW


def striped(img_CHW: np.ndarray, gain_CN: np.ndarray, offset_CN: np.ndarray) -> np.ndarray:
    """Stripes and bands: every column is one detector's, with its own gain and offset.

    Shapes: (C, H, W) with (C, W); for rows instead of columns, transpose the image.
    """
    return img_CHW * (1 + gain_CN[:, None]) + offset_CN[:, None]
