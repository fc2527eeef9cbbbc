"""Kernels of instruments: anisotropic, resampled, out of focus, sharpened on the ground.

A kernel is (R, 2, K) float32: a sum of R separable terms, taps down the rows and taps along
them. All steps are numbers of fine pixels in a coarse one.
"""

import numpy as np

from simgen.effects import Decimation
from simgen.errors import DegradationError
from simgen.physics.mtf import gauss_taps, mtf_taps, response, wave

_NO_MORE_BLUR = 0.995  # a gain beyond which a further Gaussian would do nothing
DEFOCUS_TERMS = 3  # a disk of up to 4 pixels less its first three singular terms: under 3 %


def blur_kernel(
    gain: float,
    step: int,
    count: int,
    *,
    stretch: float = 0.0,
    shift: tuple[float, float] = (0.0, 0.0),
) -> np.ndarray:
    """A Gaussian of `gain` at the coarse Nyquist, the geometric mean of both axes.

    Shapes: -> (1, 2, count).
    Units:  stretch: gain ** (1 + stretch) down the rows, gain ** (1 - stretch) along them;
            shift (down, along) in fine pixels.
    """
    down = mtf_taps(gain ** (1 + stretch), step, count, shift[0])
    along = mtf_taps(gain ** (1 - stretch), step, count, shift[1])
    return np.stack([down, along])[None]


def resampled(kernel_12K: np.ndarray, step: int, how: Decimation) -> np.ndarray:
    """The kernel when its pixels are not picked but averaged or interpolated to the coarse grid.

    Its response at the coarse Nyquist stays as it was as far as the resampling alone leaves
    more; where it leaves less, the resampling alone is the kernel.
    Source: area: mean of step pixels. bicubic: Keys 1981, IEEE TASSP 29(6):1153-1160, a = -1/2,
            stretched by step as Pillow and MATLAB do when they shrink.
    """
    if how == "point":
        return kernel_12K
    own = resampling_taps(step, how)
    count = kernel_12K.shape[-1]
    narrower = []
    for taps in kernel_12K[0]:
        rest = response(taps, step) / response(own, step)
        centre = float(taps @ (np.arange(count) - (count - 1) / 2))
        if rest < _NO_MORE_BLUR or centre:
            odd = gauss_taps(min(rest, _NO_MORE_BLUR), step, count + 1 - count % 2, centre)
            narrower.append(np.convolve(own, odd))
        else:
            narrower.append(_padded(own, own.size + count - count % 2))
    return np.stack(narrower)[None].astype(np.float32)


def resampling_taps(step: int, how: Decimation) -> np.ndarray:
    """Taps of plain averaging or plain bicubic shrinking, sum 1, parity of step."""
    if how == "area":
        return np.full(step, 1 / step, np.float32)
    t = np.abs(np.arange(4 * step - step % 2) - (4 * step - step % 2 - 1) / 2) / step
    near = 1.5 * t**3 - 2.5 * t**2 + 1
    far = -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
    taps = np.where(t < 1, near, np.where(t < 2, far, 0.0))
    return (taps / taps.sum()).astype(np.float32)


def defocused(kernel_12K: np.ndarray, radius: float) -> np.ndarray:
    """The kernel seen out of focus: convolved with a disk of `radius` fine pixels.

    Shapes: (1, 2, K) -> (3, 2, K + n - 1), n the disk's odd width: its strongest singular terms.
    """
    disk = disk_psf(radius)
    left, weights, right = np.linalg.svd(disk)
    terms = []
    for r in range(min(DEFOCUS_TERMS, disk.shape[0])):
        down = np.convolve(kernel_12K[0, 0], left[:, r] * weights[r])
        terms.append(np.stack([down, np.convolve(kernel_12K[0, 1], right[r])]))
    kernel = np.stack(terms)
    # What the left-out terms would weigh goes to the first: light is kept.
    total = (kernel[:, 0].sum(1) * kernel[:, 1].sum(1)).sum()
    return (kernel * np.array([1 / total, 1])[None, :, None]).astype(np.float32)


def disk_psf(radius: float, fineness: int = 16) -> np.ndarray:
    """A uniform disk on pixels by the share of each that it covers; (n, n), sum 1, n odd."""
    reach = max(1, int(np.ceil(radius - 0.5)))
    t = (np.arange((2 * reach + 1) * fineness) + 0.5) / fineness - (reach + 0.5)
    inside = (t[:, None] ** 2 + t[None] ** 2 <= radius**2).astype(np.float64)
    side = 2 * reach + 1
    covered = inside.reshape(side, fineness, side, fineness).sum((1, 3))
    if not covered.any():
        raise DegradationError(f"a disk needs a radius of about a pixel; got {radius}")
    return covered / covered.sum()


def sharpened(kernel_R2K: np.ndarray, amount: float, step: int) -> np.ndarray:
    """The kernel followed by sharpening on the coarse grid: -amount, 1 + 2 amount, -amount.

    On-ground MTF compensation, with its bright and dark halos. Both axes.
    Shapes: (R, 2, K) -> (R, 2, K + 2 step).
    """
    sharpen = np.zeros(2 * step + 1)
    sharpen[[0, step, -1]] = -amount, 1 + 2 * amount, -amount
    return np.stack([[np.convolve(taps, sharpen) for taps in pair] for pair in kernel_R2K]).astype(
        np.float32
    )


def kernel_gain(kernel_R2K: np.ndarray, step: int) -> float:
    """Gain at the coarse Nyquist, as applied: geometric mean of down and along the rows."""
    kernel = kernel_R2K.astype(np.float64)
    ripple, flat = wave(kernel.shape[-1], step), np.ones(kernel.shape[-1])
    down = abs(((kernel[:, 0] @ ripple) * (kernel[:, 1] @ flat)).sum())
    along = abs(((kernel[:, 0] @ flat) * (kernel[:, 1] @ ripple)).sum())
    return float(np.sqrt(down * along))


def stacked(kernels: list[np.ndarray]) -> np.ndarray:
    """Kernels of many bands as one (C, R, 2, K): zeros where one has fewer terms or taps."""
    R, K = (max(k.shape[axis] for k in kernels) for axis in (0, 2))
    out = np.zeros((len(kernels), R, 2, K), np.float32)
    for row, kernel in zip(out, kernels, strict=True):
        pad = (K - kernel.shape[2]) // 2
        row[: kernel.shape[0], :, pad : K - pad] = kernel
    return out


def _padded(taps: np.ndarray, count: int) -> np.ndarray:
    return np.pad(taps, (count - taps.size) // 2)
