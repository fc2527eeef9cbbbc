"""Spatial spectra: how power falls with frequency."""

import numpy as np

_BINS = 12
_CYCLES = 3.0  # in the image: fewer is the window's own doing


def slope_and_fine_share(img_hw: np.ndarray) -> tuple[float, float]:
    """(exponent, log10 share) of an image's power over radial frequency.

    The exponent is that of the power density against frequency, fitted over 12 logarithmic
    rings from three cycles an image to Nyquist (-2 for natural scenes: Field 1987, J. Opt. Soc.
    Am. A 4(12):2379-2394). The share is that of the power beyond half of Nyquist in all power
    between three cycles and Nyquist. NaN where the image is flat.
    """
    h, w = img_hw.shape
    hann = np.hanning(h + 2)[1:-1, None] * np.hanning(w + 2)[1:-1]
    mean = (img_hw * hann).sum() / hann.sum()  # the window's own mean, which would leak
    power = np.abs(np.fft.rfft2((img_hw - mean) * hann)) ** 2
    radius = np.hypot(np.fft.fftfreq(h)[:, None], np.fft.rfftfreq(w))
    twice = np.full(radius.shape[1], 2.0)  # the other half-plane, which rfft2 leaves out
    twice[0] = 1.0
    if w % 2 == 0:
        twice[-1] = 1.0
    count = np.broadcast_to(twice, radius.shape)
    edges = np.geomspace(_CYCLES / min(h, w), 0.5, _BINS + 1)
    ring = np.searchsorted(edges, radius, side="right") - 1
    inside = (ring >= 0) & (ring < _BINS)
    total = np.bincount(ring[inside], (count * power)[inside], _BINS)
    pixels = np.bincount(ring[inside], count[inside], _BINS)
    at = np.bincount(ring[inside], (count * radius)[inside], _BINS)
    filled = (pixels > 0) & (total > 0)
    if filled.sum() < 3:
        return float("nan"), float("nan")
    density = np.log(total[filled] / pixels[filled])
    exponent = np.polyfit(np.log(at[filled] / pixels[filled]), density, 1)[0]
    fine = (count * power)[inside & (radius > 0.25)].sum()
    share = np.log10(fine / total.sum()) if fine > 0 else float("nan")
    return float(exponent), float(share)
