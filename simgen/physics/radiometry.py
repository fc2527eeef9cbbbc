"""From light to digital numbers."""

import numpy as np


def add_noise(img: np.ndarray, normal: np.ndarray, *, read: float, shot: float) -> np.ndarray:
    """Signal-dependent noise: variance read^2 + shot * signal, in units of full scale.

    `normal` is standard normal noise of img's shape. The Gaussian form of shot noise holds
    from some ten electrons on; Foi et al. 2008, IEEE TIP 17(10):1737-1754.
    """
    sigma = np.sqrt(read**2 + shot * np.maximum(img, 0))
    return (img + sigma * normal).astype(np.float32)


def quantise(img: np.ndarray, bits: int) -> np.ndarray:
    """Digital numbers: 1.0 is 2**bits - 1; saturated, rounded to nearest, uint16."""
    top = 2**bits - 1
    return np.rint(np.clip(img * np.float32(top), 0, top)).astype(np.uint16)
