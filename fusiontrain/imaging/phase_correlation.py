"""Phase correlation: the shift between PAN and MS, window by window.

Source: Kuglin and Hines 1975, Proc. IEEE Conf. Cybernetics and Society, 163-165. Sub-pixel peak
by a parabola along each axis.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from fusiontrain.imaging.filters import degrade

WINDOW_SIDE = 256  # MS pixels
_GAIN = 0.3  # at the MS's Nyquist
_MIN_PEAK = 6.0  # standard deviations of the correlation surface above its mean
_TOLERANCE = 0.5  # MS pixels that a window's shift may differ from the median


@dataclass(frozen=True, kw_only=True, slots=True)
class ShiftEstimate:
    """Shift that registers MS to PAN, MS pixels."""

    rows: float
    columns: float
    agreeing: int  # windows within the tolerance of the median
    windows: int  # in all


def phase_correlate(ms: Tensor, pan: Tensor, ratio: int) -> tuple[float, float] | None:
    """(rows, columns) that register MS to PAN, MS pixels; None without a significant peak.

    Shapes: ms (C, h, w), pan (1, h * ratio, w * ratio); DN, without nodata.
    """
    return correlate_low(ms, low_pan(pan, ratio))


def low_pan(pan: Tensor, ratio: int) -> Tensor:
    """PAN on the MS's pixels, (1, h, w) float64, by a blur as most MS sensors have."""
    return degrade(pan[None].double(), torch.full((1, 1), _GAIN, dtype=torch.float64), ratio)[0]


def correlate_low(ms: Tensor, low: Tensor) -> tuple[float, float] | None:
    """phase_correlate of the MS and `low_pan`."""
    low, bands = low[0], ms.double()
    spectra = [_spectrum(image) for image in (low, *bands)]
    if low.numel() < 64 or any(spectrum is None for spectrum in spectra):
        return None
    first, *others = [spectrum for spectrum in spectra if spectrum is not None]
    # Each band alone: bands of opposite contrast would cancel in a mean of the bands.
    surface = torch.stack([_correlate(first, other) for other in others]).mean(0)
    row, column = divmod(int(surface.argmax()), surface.shape[1])
    if float((surface[row, column] - surface.mean()) / surface.std()) < _MIN_PEAK:
        return None
    return _subpixel_peak(surface, row, column)


def combine_shifts(shifts: list[tuple[float, float] | None]) -> ShiftEstimate | None:
    """Mean shift of the windows near the median; None unless at least half of them are."""
    estimates = torch.tensor([shift for shift in shifts if shift is not None])
    if not len(estimates):
        return None
    inlier = (estimates - estimates.median(0).values).abs().amax(1) <= _TOLERANCE
    count = int(inlier.sum())
    if count * 2 < len(estimates):
        return None
    rows, columns = estimates[inlier].mean(0).tolist()
    return ShiftEstimate(rows=rows, columns=columns, agreeing=count, windows=len(shifts))


def _spectrum(image: Tensor) -> Tensor | None:
    """Fourier spectrum under a Hann window; None for a constant image."""
    std = image.std()
    if float(std) < 1e-9:
        return None
    h, w = image.shape
    window = torch.hann_window(h, dtype=image.dtype)[:, None] * torch.hann_window(
        w, dtype=image.dtype
    )
    return torch.fft.fft2((image - image.mean()) / std * window)


def _correlate(first: Tensor, second: Tensor) -> Tensor:
    """Phase-correlation surface of two spectra."""
    cross = first * second.conj()
    cross = cross / cross.abs().clamp_min(1e-12)
    # Near Nyquist one of them is noise; a Gaussian low-pass makes the peak smooth.
    h, w = cross.shape
    fy, fx = torch.fft.fftfreq(h)[:, None], torch.fft.fftfreq(w)
    return torch.fft.ifft2(cross * torch.exp(-((fy**2 + fx**2) / (2 * 0.15**2)))).real


def _subpixel_peak(surface: Tensor, row: int, column: int) -> tuple[float, float]:
    """(rows, columns) of the peak; indices beyond half the size are negative shifts."""
    h, w = surface.shape
    shift = []
    for size, index, line in (
        (h, row, [surface[(row + d) % h, column] for d in (-1, 0, 1)]),
        (w, column, [surface[row, (column + d) % w] for d in (-1, 0, 1)]),
    ):
        left, middle, right = (max(float(v), 1e-12) for v in line)
        # The logarithm of a Gaussian peak is a parabola.
        a, b, c = (torch.log(torch.tensor(v)).item() for v in (left, middle, right))
        curve = a - 2 * b + c
        offset = 0.5 * (a - c) / curve if curve < 0 else 0.0
        whole = index - size if index > size // 2 else index
        shift.append(whole + max(-0.5, min(0.5, offset)))
    return shift[0], shift[1]
