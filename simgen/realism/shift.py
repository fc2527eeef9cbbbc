"""How far PAN and MS are apart, by phase correlation below a pixel."""

import numpy as np

_BAND = 0.3  # cycles a pixel: beyond, the MS is noise and aliases
_REACH, _FINE = 1.5, 0.02  # pixels searched around zero, and the grid of the search


def phase_shift(moved_hw: np.ndarray, still_hw: np.ndarray) -> tuple[float, float]:
    """(down, along) in pixels by which the content of `moved` lies from that of `still`.

    The peak of the whitened cross-spectrum's transform, on a grid of .02 pixels by a matrix
    product, within 1.5 pixels; frequencies under .3 cycles a pixel, under a Hann window.
    NaN where one of both is flat.
    Source: Kuglin and Hines 1975, Proc. IEEE Cybern. Soc., 163-165; the matrix product is that
    of Guizar-Sicairos et al. 2008, Opt. Lett. 33(2):156-158.
    """
    spectra = [np.fft.fft2(_windowed(img)) for img in (moved_hw, still_hw)]
    cross = spectra[0] * spectra[1].conj()
    down, along = (np.fft.fftfreq(n) for n in cross.shape)
    radius = np.hypot(down[:, None], along[None])
    size = np.abs(cross)
    used = (radius > 0) & (radius < _BAND) & (size > 0)
    if not used.any():
        return float("nan"), float("nan")
    phase = np.where(used, cross / np.where(size > 0, size, 1), 0)
    at = np.arange(-_REACH, _REACH + _FINE / 2, _FINE)
    surface = (
        np.exp(2j * np.pi * at[:, None] * down) @ phase @ np.exp(2j * np.pi * along[:, None] * at)
    ).real
    row, column = np.unravel_index(np.argmax(surface), surface.shape)
    return float(at[row]), float(at[column])


def _windowed(img_hw: np.ndarray) -> np.ndarray:
    hann = [np.hanning(n + 2)[1:-1] for n in img_hw.shape]
    seen: np.ndarray = (img_hw - img_hw.mean()) * hann[0][:, None] * hann[1]
    return seen
