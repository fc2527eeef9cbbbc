"""The reference toolbox's own filters and interpolation, for numbers that agree with it.

Phase: an upsampled image keeps MS sample i at PAN coordinate ratio * i + ratio / 2 (0-based),
half a PAN pixel from the area-aligned convention of filters.py. Float64, axes as in batch.py.
Source: toolbox of Vivone et al. 2015, TGRS 53(5):2565-2586, and 2021, GRSM 9(1):53-81.
"""

import math
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from fusiontrain.errors import ShapeError
from fusiontrain.filters import mirror

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
    """Twice the samples along an axis; the given ones stay, at odd or at even places.

    Every other of the 23 taps is zero: a new sample is made of the 12 given ones around it.
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

    A Gaussian frequency response, brought to finite support by Huang's window method. `side`
    is the length that the toolbox takes for the kernel's: 40 nearly everywhere.
    """
    n = torch.arange(KERNEL_SIDE, dtype=torch.float64) - KERNEL_SIDE // 2
    alpha = math.sqrt((side / ratio / 2) ** 2 / (-2 * math.log(gain)))
    line = torch.exp(-0.5 * (n / alpha) ** 2)
    wanted = line[:, None] * line
    kernel = torch.fft.fftshift(torch.fft.ifft2(torch.fft.ifftshift(wanted)).real)
    window = torch.kaiser_window(KERNEL_SIDE, False, KAISER_BETA, dtype=torch.float64)
    radius = torch.hypot(n[:, None], n) / n[-1]
    place = (radius.clamp(max=1) + 1) / 2 * (KERNEL_SIDE - 1)  # on the 1-D window, linearly
    below = place.floor().long().clamp(max=KERNEL_SIDE - 2)
    part = place - below
    turned = window[below] * (1 - part) + window[below + 1] * part
    return kernel * torch.where(radius <= 1, turned, 0.0)


def mtf_filter(image: Tensor, gains: tuple[float, ...], ratio: int) -> Tensor:
    """Each band through its sensor's MTF, borders replicated: (N, C, H, W), same size."""
    kernels = torch.stack([mtf_kernel(gain, ratio) for gain in gains]).to(image.device)
    if image.shape[1] != len(gains):
        raise ShapeError(f"need a gain for each of {image.shape[1]} bands; got {len(gains)}")
    pad = (KERNEL_SIDE // 2,) * 4
    padded = F.pad(image.to(torch.float64), pad, mode="replicate")
    return F.conv2d(padded, kernels[:, None], groups=len(gains))


def gauss_filter(image: Tensor, ratio: int) -> Tensor:
    """The toolbox's nominal low-pass, gain .30 with the other kernel length: same size."""
    kernel = mtf_kernel(GAUSS_GAIN, ratio, KERNEL_SIDE).to(image.device)
    flat = image.to(torch.float64).reshape(-1, 1, *image.shape[-2:])
    padded = F.pad(flat, (KERNEL_SIDE // 2,) * 4, mode="replicate")
    return F.conv2d(padded, kernel[None, None]).reshape(image.shape)


def pick(image: Tensor, ratio: int) -> Tensor:
    """Nearest decimation, in the toolbox's phase: samples ratio * i + ratio / 2."""
    return image[..., ratio // 2 :: ratio, ratio // 2 :: ratio]


def smooth_decimate(image: Tensor, ratio: int) -> Tensor:
    """The toolbox's wavelet low-pass and decimation: (..., H, W) -> (..., h, w).

    A cubic spline of 5 taps, once down and once up a level of an undecimated pyramid; each
    level extends its input by mirroring. Levels: log2 of the ratio.
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
    return pick(flat.reshape(*image.shape[:-2], *flat.shape[-2:]), ratio)


def imresize_bicubic(image: Tensor, ratio: int) -> Tensor:
    """Antialiased bicubic reduction with mirrored borders: (..., H, W) -> (..., h, w)."""
    reduced = image.to(torch.float64)
    for axis in (-2, -1):
        size = reduced.shape[axis]
        weights = _reduction(size, -(-size // ratio), ratio).to(reduced.device)
        reduced = (weights @ reduced.transpose(axis, -2)).transpose(axis, -2)
    return reduced


def _reduction(size: int, smaller: int, ratio: int) -> Tensor:
    centre = (torch.arange(smaller, dtype=torch.float64) + 0.5) * ratio - 0.5
    reach = 2 * ratio + 1
    place = centre.floor().long()[:, None] + torch.arange(-reach, reach + 1)
    x = (place - centre[:, None]).abs() / ratio
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    taps = torch.where(x <= 1, near, torch.where(x <= 2, far, 0.0))
    taps = taps / taps.sum(1, keepdim=True)
    folded = place % (2 * size)
    folded = torch.where(folded < size, folded, 2 * size - 1 - folded)
    return torch.zeros(smaller, size, dtype=torch.float64).scatter_add_(1, folded, taps)
