"""Filters and interpolation of the MATLAB reference toolbox, with its numbers to 1e-9.

Phase: an upsampled image keeps MS sample i at PAN coordinate ratio * i + ratio / 2 (0-based),
half a PAN pixel from the area-aligned phase of filters.py. Float64, axes as in pan_batch.py.
Source: toolbox of Vivone et al. 2015, TGRS 53(5):2565-2586, and 2021, GRSM 9(1):53-81.
"""

import math
from collections.abc import Callable
from fractions import Fraction
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from fusiontrain.errors import ShapeError
from fusiontrain.imaging.filters import mirror

KERNEL_SIDE = 41
KAISER_BETA = 0.5
GAUSS_GAIN = 0.30
# Half of the 23-tap polynomial kernel of Aiazzi et al. 2002, TGRS 40(10):2300-2312.
_CDF23 = (
    *(0.5, 0.305334091185, 0.0, -0.072698593239, 0.0, 0.021809577942),
    *(0.0, -0.005192756653, 0.0, 0.000807762146, 0.0, -0.000060081482),
)


def interp23(image: Tensor, ratio: int) -> Tensor:
    """Interpolation by a power of two with circular borders: (..., h, w) -> (..., H, W)."""
    if ratio < 2 or ratio & (ratio - 1):
        raise ShapeError(f"the 23-tap interpolation takes ratio 2, 4, 8, ...; got {ratio}")
    fine = image.to(torch.float64)
    for step in range(ratio.bit_length() - 1):
        for axis in (-2, -1):
            fine = _double(fine, axis, odd=step == 0)  # samples go to odd places once
    return fine


def _double(image: Tensor, axis: int, *, odd: bool) -> Tensor:
    """Doubled sampling along an axis; input samples go to odd or to even positions.

    Every other of the 23 taps is zero: a new sample depends on 12 input samples.
    """
    size, reach = image.shape[axis], len(_CDF23) // 2
    place = torch.arange(1 - reach, size + reach, device=image.device) % size
    around = image.index_select(axis, place)
    between = torch.zeros_like(image)
    for m in range(reach):
        left, right = (around.narrow(axis, reach - 1 + d, size) for d in (-m, 1 + m))
        between.add_(left + right, alpha=2 * _CDF23[2 * m + 1])
    pair = (between.roll(1, axis), image) if odd else (image, between)
    after = axis % image.ndim + 1
    return torch.stack(pair, after).flatten(after - 1, after)


@cache
@torch.inference_mode(False)
def mtf_kernel(gain: float, ratio: int, side: int = KERNEL_SIDE - 1) -> Tensor:
    """(41, 41) filter of a sensor's gain at the MS Nyquist; not normalised, as in the toolbox.

    A Gaussian frequency response, made finite by Huang's window method. `side` is the
    kernel length in the toolbox's formula: 40 nearly everywhere.
    """
    n = torch.arange(KERNEL_SIDE, dtype=torch.float64) - KERNEL_SIDE // 2
    alpha = math.sqrt((side / ratio / 2) ** 2 / (-2 * math.log(gain)))
    line = torch.exp(-0.5 * (n / alpha) ** 2)
    response = line[:, None] * line
    kernel = torch.fft.fftshift(torch.fft.ifft2(torch.fft.ifftshift(response)).real)
    window = torch.kaiser_window(KERNEL_SIDE, False, KAISER_BETA, dtype=torch.float64)
    radius = torch.hypot(n[:, None], n) / n[-1]
    place = (radius.clamp(max=1) + 1) / 2 * (KERNEL_SIDE - 1)  # on the 1-D window, linearly
    below = place.floor().long().clamp(max=KERNEL_SIDE - 2)
    part = place - below
    rotated = window[below] * (1 - part) + window[below + 1] * part
    return kernel * torch.where(radius <= 1, rotated, 0.0)


def mtf_filter(image: Tensor, gains: tuple[float, ...], ratio: int) -> Tensor:
    """Each band through its sensor's MTF, borders replicated: (N, C, H, W), same size."""
    kernels = torch.stack([mtf_kernel(gain, ratio) for gain in gains]).to(image.device)
    if image.shape[1] != len(gains):
        raise ShapeError(f"need a gain for each of {image.shape[1]} bands; got {len(gains)}")
    return _filter(image.to(torch.float64), kernels)


def gauss_filter(image: Tensor, ratio: int) -> Tensor:
    """The toolbox's nominal low-pass: gain 0.30, kernel length 41. Same size."""
    kernel = mtf_kernel(GAUSS_GAIN, ratio, KERNEL_SIDE).to(image.device)
    flat = image.to(torch.float64).reshape(-1, 1, *image.shape[-2:])
    return _filter(flat, kernel[None]).reshape(image.shape)


def _filter(image: Tensor, kernels: Tensor) -> Tensor:
    """(N, C, H, W) by (C, 41, 41), borders replicated. By Fourier transform: 20 times faster."""
    H, W = image.shape[-2:]
    padded = F.pad(image, (KERNEL_SIDE // 2,) * 4, mode="replicate")
    shape = padded.shape[-2:]
    # Symmetric kernels: correlation is convolution.
    product = torch.fft.rfft2(padded) * torch.fft.rfft2(kernels, s=shape)
    filtered = torch.fft.irfft2(product, s=shape)
    return filtered[..., KERNEL_SIDE - 1 :, KERNEL_SIDE - 1 :][..., :H, :W]


def decimate(image: Tensor, ratio: int) -> Tensor:
    """Decimation in the toolbox's phase: samples ratio * i + ratio / 2."""
    return image[..., ratio // 2 :: ratio, ratio // 2 :: ratio]


def smooth_decimate(image: Tensor, ratio: int) -> Tensor:
    """The toolbox's wavelet low-pass and decimation: (..., H, W) -> (..., h, w).

    A cubic spline of 5 taps, once per level up and down an undecimated pyramid of log2(ratio)
    levels. Borders: mirrored, once per level.
    """
    spline = image.new_tensor([1, 4, 6, 4, 1], dtype=torch.float64) / 16
    flat = image.to(torch.float64).reshape(-1, 1, *image.shape[-2:])
    levels = math.ceil(math.log2(ratio))
    for down in (True,) * levels + (False,) * levels:
        for axis in (2, 3):
            if down:
                flat = mirror(flat, len(spline) - 1, axis)
            shape = (1, 1, -1, 1) if axis == 2 else (1, 1, 1, -1)
            flat = F.conv2d(flat, spline.reshape(shape))
    return decimate(flat.reshape(*image.shape[:-2], *flat.shape[-2:]), ratio)


def imresize_bicubic(image: Tensor, ratio: int) -> Tensor:
    """Antialiased bicubic reduction with mirrored borders: (..., H, W) -> (..., h, w)."""
    return _resize(image.to(torch.float64), Fraction(1, ratio), _cubic, reach=2)


def imresize_up(image: Tensor, ratio: int) -> Tensor:
    """Bicubic enlargement with mirrored borders: (..., h, w) -> (..., H, W)."""
    return _resize(image.to(torch.float64), Fraction(ratio), _cubic, reach=2)


def imresize_bilinear(image: Tensor, scale: Fraction) -> Tensor:
    """Bilinear, antialiased where it reduces; `scale` is a ratio or one over it. Keeps dtype."""
    return _resize(image, scale, _triangle, reach=1)


def _cubic(x: Tensor) -> Tensor:
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return torch.where(x <= 1, near, torch.where(x <= 2, far, 0.0))


def _triangle(x: Tensor) -> Tensor:
    return (1 - x).clamp_min(0)


def _resize(
    image: Tensor, scale: Fraction, kernel: Callable[[Tensor], Tensor], *, reach: int
) -> Tensor:
    """As MATLAB's imresize: separable, area-aligned, weights of sum 1, mirrored borders."""
    planes = image.reshape(-1, *image.shape[-2:])
    widened = max(1.0, float(1 / scale))  # antialiasing stretches the kernel
    span = math.ceil(reach * widened)
    up, step = scale.numerator, scale.denominator  # one of them is 1
    margin = span + step
    for _ in range(2):  # rows, then columns of the transposed image
        size = math.ceil(planes.shape[1] * scale)
        padded = mirror(planes, margin, 1)
        out = planes.new_zeros(len(planes), size, planes.shape[2])
        for phase in range(up):  # output pixels of one sub-pixel position share their taps
            centre = (phase + 0.5) / float(scale) - 0.5
            place = torch.arange(-span, span + 2) + math.floor(centre)
            taps = kernel((place - centre).abs().to(torch.float64) / widened)
            taps = taps / taps.sum()
            last = (len(range(phase, size, up)) - 1) * step
            for tap, start in zip(taps.tolist(), (place + margin).tolist(), strict=True):
                if tap != 0:
                    out[:, phase::up].add_(padded[:, start : start + last + 1 : step], alpha=tap)
        planes = out.mT.contiguous()
    return planes.reshape(*image.shape[:-2], *planes.shape[-2:])
