"""MTF of a sensor: blur, then decimation. Suffixes: C bands; H W pixels."""

from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from simgen.errors import DegradationError

_CRISP = 0.8  # fine pixels: under this sigma, samples no longer make a Gaussian
_LOBES = 4
_MOST_LIFT = 1.5


def tap_count(least_gain: float, step: int, shift: float = 0.0) -> int:
    """Taps that hold 4 sigma of a blur shifted by up to `shift` pixels; parity of `step`."""
    reach = max(int(np.ceil(4 * _sigma(least_gain, step))), _LOBES + 1)
    return 2 * (reach + int(np.ceil(shift))) + step % 2


def mtf_taps(gain: float, step: int, count: int, shift: float = 0.0) -> np.ndarray:
    """1-D blur, sum 1, whose response at the coarse Nyquist, 1/(2 step), is `gain`.

    A Gaussian; where it is too narrow to be sampled, three taps of that response, after a
    Lanczos interpolation to the centre where that lies between pixels.
    Shapes: -> (count,) float32; count has the parity of step, so that the taps are centred
            on the coarse pixel: between two fine pixels where step is even.
    Units:  shift in fine pixels: the coarse pixel looks so much farther on.
    Raises: DegradationError if gain is outside (0, 1) or parities differ.
    """
    if count % 2 != step % 2:
        raise DegradationError(f"{count} taps cannot be centred on pixels of step {step}")
    return gauss_taps(gain, step, count, shift)


def gauss_taps(gain: float, step: int, count: int, shift: float = 0.0) -> np.ndarray:
    """mtf_taps for any parity of count."""
    if not 0 < gain < 1:
        raise DegradationError(f"an MTF gain lies in (0, 1); got {gain}")
    sigma = _sigma(gain, step)
    t = _offsets(count) - shift
    if sigma < _CRISP:
        centre = np.sinc(t) * np.sinc(t / _LOBES) * (np.abs(t) < _LOBES)
        centre /= centre.sum()
        # [a, 1 - 2a, a] has the response 1 - 2a (1 - cos(pi / step)): solve for what is missing.
        # Half-way between pixels of one and the same grid its Nyquist is lost: lift it no further.
        wanted = min(gain / response(centre, step), _MOST_LIFT)
        a = (1 - wanted) / (2 * (1 - np.cos(np.pi / step)))
        return np.convolve(centre, [a, 1 - 2 * a, a], mode="same").astype(np.float32)
    taps = np.exp(-0.5 * (t / sigma) ** 2)
    return (taps / taps.sum()).astype(np.float32)


def paper_taps() -> np.ndarray:
    """The authors' degradation by 4 as one even kernel: 3-tap Gaussian, then bicubic at 4i+1.5.

    Blur: sigma 1.5 over 3 pixels. Bicubic without antialiasing, a = -0.75, half-way between
    two pixels. Source: the authors' public code as described in docs/reference/recipes.md.
    """
    gauss = np.exp(-0.5 * (np.arange(-1, 2) / 1.5) ** 2)
    cubic = np.array([-0.09375, 0.59375, 0.59375, -0.09375])
    return np.convolve(gauss / gauss.sum(), cubic).astype(np.float32)


def response(taps: np.ndarray, step: int) -> float:
    """Gain of taps at the Nyquist frequency of a grid `step` times coarser, wherever centred."""
    return float(abs(taps.astype(np.float64) @ wave(taps.size, step)))


@lru_cache
def wave(count: int, step: int) -> np.ndarray:
    """exp(-i pi t / step) on `count` pixels about their centre: taps @ wave is their response."""
    return _kept(np.exp(-1j * np.pi * _offsets(count) / step))


@lru_cache
def _offsets(count: int) -> np.ndarray:
    return _kept(np.arange(count) - (count - 1) / 2)


def _kept(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False  # many callers share it
    return array


def observe(img_CHW: np.ndarray, taps_CK: np.ndarray, *, step: int) -> np.ndarray:
    """Blur each band with its own taps, the same on both axes, and keep every step-th pixel.

    Shapes: (C, H, W) float32, (C, K) -> (C, H/step, W/step) float32.
    Phase, border, errors: see observe_kernels.
    """
    return observe_kernels(img_CHW, np.stack([taps_CK, taps_CK], axis=1)[:, None], step=step)


def observe_kernels(img_CHW: np.ndarray, kernels_CR2K: np.ndarray, *, step: int) -> np.ndarray:
    """Blur each band with its own kernel and keep every step-th pixel, area-aligned.

    A kernel is a sum of R separable terms: taps down the rows, taps along them.
    Shapes: (C, H, W) float32, (C, R, 2, K) -> (C, H/step, W/step) float32.
    Phase:  coarse pixel i is centred on fine coordinate step*i + (step-1)/2.
    Border: mirrored, edge pixel repeated, which commutes with this phase.
    Raises: DegradationError if sizes or parities do not fit.
    """
    C, H, W = img_CHW.shape
    bands, _, _, K = kernels_CR2K.shape
    if bands != C or step % 2 != K % 2 or step > K:
        raise DegradationError(
            f"need kernels ({C}, R, 2, K) with K >= {step} and of its parity; "
            f"got {kernels_CR2K.shape}"
        )
    if H % step or W % step:
        raise DegradationError(f"image {H}x{W} is not a multiple of {step}; crop it first")
    return np.stack(
        [sum(_sense(_sense(band, down, step).T, along, step).T for down, along in terms)
         for band, terms in zip(img_CHW, kernels_CR2K, strict=True)]
    )  # fmt: skip


def _sense(img_HW: np.ndarray, taps: np.ndarray, step: int) -> np.ndarray:
    pad = (taps.size - step) // 2
    padded = np.pad(img_HW, ((pad, pad), (0, 0)), mode="symmetric")
    seen: np.ndarray = sliding_window_view(padded, taps.size, axis=0)[::step] @ taps
    return seen


def _sigma(gain: float, step: int) -> float:
    return float(step / np.pi * np.sqrt(-2.0 * np.log(gain)))
