"""A PAN for one band, made of several sharp bands (guides) as fusion makes it."""

import numpy as np


def synthesised(guides_GHW: np.ndarray, low_Ghw: np.ndarray, band_hw: np.ndarray) -> np.ndarray:
    """(1, H, W) float32: the mix of guides that explains the band at the band's own scale.

    Least squares of [1, guides at the band's scale] on the band, and the same weights of the sharp
    guides. Shapes: (G, H, W), (G, h, w) guides through the band's MTF and decimated, (h, w); DN.
    Source: Selva et al. 2015, IEEE JSTARS 8(6):3008-3019.
    """
    low = low_Ghw.reshape(len(low_Ghw), -1).astype(np.float64)
    level, band = low.mean(1, keepdims=True), band_hw.astype(np.float64).ravel()
    centred = low - level
    # Guides that are all but the same share their weight.
    ridge = 1e-6 * float(np.square(centred).mean()) * centred.shape[1] + 1e-6
    normal = centred @ centred.T + ridge * np.eye(len(low))
    weights = np.linalg.solve(normal, centred @ (band - band.mean()))
    offset = band.mean() - weights @ level[:, 0]
    pan = np.tensordot(weights.astype(np.float32), guides_GHW.astype(np.float32), 1)
    return (pan + np.float32(offset))[None]
