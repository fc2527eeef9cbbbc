"""MTF blur, decimation and interpolation in torch. Axes as in pan_batch.py.

simgen/physics/mtf.py is the numpy counterpart of `degrade`; tests/handover compares the two.
"""

import math
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from fusiontrain.imaging.pan_batch import GridPhase, move

LOBES = 4  # of the Lanczos kernel, MS pixels
STRIDE = 16  # pixels interpolated by one matrix product
_LARGE = 2**16  # pixels of an image whose blur is memory-bound
NARROW_SIGMA = 0.8  # PAN pixels; a sampled Gaussian of a smaller sigma has another MTF
MIN_TAP = 1e-14  # smaller taps are 0: denormal products would slow filters several times
MIN_GAIN = 0.02  # smaller MTF gains are clamped: kernels would grow without bound


def gain_to_sigma(gain: Tensor, ratio: int) -> Tensor:
    """Sigma, in fine pixels, of the Gaussian with this gain at the coarse Nyquist."""
    safe = gain.clamp(MIN_GAIN, 1 - 1e-6)
    return ratio / math.pi * torch.sqrt(-2 * torch.log(safe))


def sigma_to_gain(sigma: Tensor, ratio: int) -> Tensor:
    """Gain at the coarse Nyquist of the Gaussian with this sigma in fine pixels."""
    return torch.exp(-0.5 * (sigma * math.pi / ratio) ** 2)


def one_if_alike(sigma: Tensor) -> Tensor:
    """(B, C) sigmas, or (B, 1) where all bands have the same: one blur serves all."""
    return sigma[:, :1] if bool((sigma == sigma[:, :1]).all()) else sigma


def gaussian_taps(sigma: Tensor, step: int) -> Tensor:
    """Gaussian kernels: (...,) sigmas in fine pixels -> (..., K) taps of sum 1.

    K has the parity of `step`. Half-width: four sigma, and at least five pixels and one step.
    """
    reach = torch.ceil(4 * sigma).clamp_min(max(step, LOBES + 1))
    count = 2 * int(reach.max()) + step % 2
    t = torch.arange(count, dtype=sigma.dtype, device=sigma.device) - (count - 1) / 2
    # A sigma near zero means no blur: the floor keeps the exponent finite.
    taps = torch.exp(-0.5 * (t / sigma.clamp_min(0.05)[..., None]) ** 2)
    # Each kernel is cut at its own 4 sigma, so that it does not depend on the others' sigmas.
    taps = taps * (t.abs() <= reach[..., None])
    taps = taps / taps.sum(-1, keepdim=True)
    taps = torch.where(taps < MIN_TAP, 0.0, taps)
    narrow = (sigma < NARROW_SIGMA)[..., None]
    if step % 2 or not bool(narrow.any()):
        # At odd steps sampled taps stay. A narrow kernel blurs less than its gain says, which
        # fuses real scenes better (PAN has a blur of its own): 2.42 against 2.46 ERGAS.
        return taps
    return torch.where(narrow, _narrow_taps(sigma, step, count), taps)


def _narrow_taps(sigma: Tensor, step: int, count: int) -> Tensor:
    """Taps with the Gaussian's gain at the coarse Nyquist, for Gaussians too narrow to sample.

    Even steps: Lanczos interpolation half-way between fine pixels, then a 3-tap filter.
    """
    t = torch.arange(-LOBES, LOBES, dtype=sigma.dtype, device=sigma.device) + 0.5
    centre = torch.sinc(t) * torch.sinc(t / LOBES)
    centre = centre / centre.sum()
    passed = (centre * torch.cos(math.pi * t / step)).sum()
    # [a, 1 - 2a, a] has the response 1 - 2a (1 - cos(pi / step)).
    a = (1 - sigma_to_gain(sigma, step) / passed) / (2 * (1 - math.cos(math.pi / step)))
    side, middle = a[..., None] * centre, (1 - 2 * a)[..., None] * centre
    whole = F.pad(side, (0, 2)) + F.pad(middle, (1, 1)) + F.pad(side, (2, 0))
    pad = (count - whole.shape[-1]) // 2
    return F.pad(whole, (pad, pad))


def blur(image: Tensor, sigma: Tensor, *, step: int = 1) -> Tensor:
    """Gaussian blur of each channel by its own sigma, area-aligned decimation by `step`.

    Shapes: image (B, C or 1, H, W), sigma (B, C) in pixels -> (B, C, H/step, W/step); a
            one-channel image is blurred by each of the C sigmas.
    Border: mirrored, edge pixel repeated.
    """
    B, C = sigma.shape
    taps = move(gaussian_taps(sigma, step).to(image.dtype), image.device)
    K = taps.shape[-1]
    pad = (K - step) // 2
    if image.device.type == "cpu" and _by_products(image):
        rows = filter_rows(mirror(image, pad, 2), taps, step)
        return filter_columns(mirror(rows, pad, 3), taps, step)
    groups = B * image.shape[1]
    flat = image.reshape(1, groups, *image.shape[2:])
    vertical = taps.reshape(B * C, 1, K, 1)
    rows = F.conv2d(mirror(flat, pad, 2), vertical, stride=(step, 1), groups=groups)
    blurred = F.conv2d(
        mirror(rows, pad, 3), taps.reshape(B * C, 1, 1, K), stride=(1, step), groups=B * C
    )
    return blurred.reshape(B, C, *blurred.shape[2:])


def _by_products(image: Tensor) -> bool:
    """Whether matrix products blur faster than convolutions on a CPU; the sums are the same."""
    if image.dtype == torch.float64 or image.shape[1] == 1:
        return True
    # A product's gradient would copy all of the image for every STRIDE rows.
    no_gradient = not (torch.is_grad_enabled() and image.requires_grad)
    return no_gradient and image.shape[-2] * image.shape[-1] >= _LARGE


def filter_rows(image: Tensor, taps: Tensor, step: int) -> Tensor:
    """Correlation along the rows' axis with stride `step`, without padding, taps per channel.

    Shapes: image (B, C or 1, H, W), taps (B, C, K) -> (B, C, (H - K) // step + 1, W).
    By matrix products of STRIDE output rows: far faster than F.conv2d in float64, of one channel
    and of large images.
    """
    B, C, K = taps.shape
    height = (image.shape[2] - K) // step + 1
    table = _shifted_taps(taps, step)
    out = image.new_empty(B, C, height, image.shape[3])
    for top in range(0, height, STRIDE):
        rows = min(STRIDE, height - top)
        length = step * (rows - 1) + K
        block = image[:, :, top * step : top * step + length]
        out[:, :, top : top + rows] = table[..., :rows, :length] @ block
    return out


def filter_columns(image: Tensor, taps: Tensor, step: int) -> Tensor:
    """`filter_rows` along the columns' axis: (B, C, H, W) -> (B, C, H, (W - K) // step + 1)."""
    B, C, K = taps.shape
    width = (image.shape[3] - K) // step + 1
    table = _shifted_taps(taps, step).mT
    whole = table.shape[-2]
    out = image.new_empty(B, C, image.shape[2], width)
    for left in range(0, width, STRIDE):
        columns = min(STRIDE, width - left)
        length = step * (columns - 1) + K
        block = image[..., left * step : left * step + length]
        if columns < STRIDE:  # narrower products round otherwise: pixels would depend on the cut
            block = F.pad(block, (0, whole - length))
        out[..., left : left + columns] = (block @ table)[..., :columns]
    return out


def _shifted_taps(taps: Tensor, step: int) -> Tensor:
    """(B, C, K) -> (B, C, STRIDE, step * (STRIDE - 1) + K): each row `step` on from the last."""
    B, C, K = taps.shape
    table = taps.new_zeros(B, C, STRIDE, step * (STRIDE - 1) + K)
    for i in range(STRIDE):
        table[..., i, i * step : i * step + K] = taps
    return table


def mirror(image: Tensor, pad: int, axis: int) -> Tensor:
    """Mirror padding by `pad` on both sides of `axis`, edge pixel repeated; `pad` may exceed it."""
    if pad == 0:
        return image
    size = image.shape[axis]
    if pad <= size:  # faster: copies whole rows
        before, after = image.narrow(axis, 0, pad), image.narrow(axis, size - pad, pad)
        return torch.cat([before.flip(axis), image, after.flip(axis)], axis)
    index = torch.arange(-pad, size + pad, device=image.device) % (2 * size)
    return image.index_select(axis, torch.where(index < size, index, 2 * size - 1 - index))


def degrade(image: Tensor, mtf: Tensor, ratio: int, phase: GridPhase = "aligned") -> Tensor:
    """The MS sensor: MTF blur and decimation. (B, C, H, W), gains (B, C) -> (B, C, h, w)."""
    return blur_to_ms(image, gain_to_sigma(mtf, ratio), ratio, phase)


def blur_to_ms(image: Tensor, sigma: Tensor, ratio: int, phase: GridPhase = "aligned") -> Tensor:
    """`blur`, then decimation to the MS grid in either phase: (B, C, H, W) -> (B, C, h, w)."""
    if phase == "aligned":
        return blur(image, sigma, step=ratio)
    return blur(image, sigma)[..., ratio // 2 :: ratio, ratio // 2 :: ratio]


def upsample(image: Tensor, ratio: int, phase: GridPhase = "aligned") -> Tensor:
    """Lanczos interpolation from the MS grid to the PAN grid: (B, C, h, w) -> (B, C, H, W).

    Four lobes, corrected so that constants and ramps are exact. Border: mirrored, edge
    pixel repeated. Better than bicubic (a = -0.75) by 1 % of ERGAS in EXP, GSA and MTF-GLP-FS.
    """
    B, C, h, w = image.shape
    if image.dtype == torch.float32 and image.device.type == "cpu":
        return _upsample_by_matmul(image, ratio, phase)
    taps = taps_on(ratio, phase, image.dtype, image.device)  # (ratio, K)
    flat = mirror(image.reshape(B * C, 1, h, w), LOBES, 2)
    rows = F.conv2d(flat, taps[:, None, :, None])  # (BC, ratio, h, w)
    rows = rows.transpose(1, 2).reshape(B * C, 1, h * ratio, w)
    planes = F.conv2d(mirror(rows, LOBES, 3), taps[:, None, None, :])
    return planes.permute(0, 2, 3, 1).reshape(B, C, h * ratio, w * ratio)


def correlate(image: Tensor, taps: Tensor, axis: int) -> Tensor:
    """Correlation of (..., H, W) with K taps along axis -2 or -1, without padding.

    The axis loses K - 1 pixels. By matrix products, as in `_upsample_by_matmul`.
    """
    K, size = len(taps), image.shape[axis] - len(taps) + 1
    table = taps.new_zeros(STRIDE + K - 1, STRIDE)
    for i in range(STRIDE):
        table[i : i + K, i] = taps
    blocks = unfolded(image, axis, STRIDE + K - 1, -size % STRIDE)
    if axis == -2:  # (..., n, W, STRIDE + K - 1)
        return (table.T @ blocks.mT).flatten(-3, -2)[..., :size, :]
    return (blocks @ table).flatten(-2)[..., :size]


def _upsample_by_matmul(image: Tensor, ratio: int, phase: GridPhase) -> Tensor:
    """`upsample` as matrix products of STRIDE pixels and their neighbours with a table of taps.

    A third of the time of a one-channel convolution, although two thirds of the table are
    zeros; the pixels come out in their final order.
    """
    B, C, h, w = image.shape
    table = _interpolation_table(ratio, phase)  # (STRIDE + 2 LOBES, STRIDE * ratio)
    # (BC, n, w, STRIDE + 2 LOBES), then (BC, H, n, STRIDE + 2 LOBES)
    rows = _in_strides(image.reshape(B * C, h, w), -2)
    tall = (table.T @ rows.mT).reshape(B * C, -1, w)[:, : h * ratio]
    columns = _in_strides(tall, -1)
    wide = (columns.reshape(-1, columns.shape[-1]) @ table).reshape(B, C, h * ratio, -1)
    return wide if wide.shape[-1] == w * ratio else wide[..., : w * ratio].contiguous()


def _in_strides(image: Tensor, axis: int) -> Tensor:
    """Blocks of STRIDE pixels along `axis`, each with LOBES more per side, as a new last axis."""
    padded = mirror(image, LOBES, image.ndim + axis)
    return unfolded(padded, axis, STRIDE + 2 * LOBES, -image.shape[axis] % STRIDE)


def unfolded(image: Tensor, axis: int, length: int, missing: int) -> Tensor:
    """Blocks of `length` pixels, one every STRIDE, as a new last axis; zero padding at the end."""
    if missing:
        shape = list(image.shape)
        shape[axis] = missing
        image = torch.cat([image, image.new_zeros(shape)], axis)
    return image.unfold(axis, length, STRIDE)


@cache
@torch.inference_mode(False)
def _interpolation_table(ratio: int, phase: GridPhase) -> Tensor:
    """(STRIDE + 2 LOBES, STRIDE * ratio): column i * ratio + r has sub-pixel r's taps at row i."""
    taps = interpolation_taps(ratio, phase).float()
    table = torch.zeros(STRIDE + 2 * LOBES, STRIDE * ratio)
    for i in range(STRIDE):
        table[i : i + 2 * LOBES + 1, i * ratio : (i + 1) * ratio] = taps.T
    return table


@cache
@torch.inference_mode(False)  # cached for training too
def interpolation_taps(ratio: int, phase: GridPhase) -> Tensor:
    """(ratio, 2 LOBES + 1): weights of the MS pixels around each sub-pixel position."""
    t = torch.arange(-LOBES, LOBES + 1, dtype=torch.float64)
    centre = (ratio - 1) / 2 if phase == "aligned" else ratio // 2
    offset = (torch.arange(ratio, dtype=torch.float64) - centre) / ratio  # MS pixels
    x = t - offset[:, None]
    taps = torch.sinc(x) * torch.sinc(x / LOBES) * (x.abs() < LOBES)
    # The smallest correction, weighted by the taps, for which constants and ramps are exact.
    weight = taps.abs()
    basis = torch.stack([torch.ones_like(t), t])
    normal = torch.einsum("ik,rk,jk->rij", basis, weight, basis)
    missing = torch.stack([1 - taps.sum(1), offset - taps @ t], 1)
    return taps + weight * (torch.linalg.solve(normal, missing) @ basis)


@cache
@torch.inference_mode(False)
def taps_on(ratio: int, phase: GridPhase, dtype: torch.dtype, device: torch.device) -> Tensor:
    """interpolation_taps of a type, on a device: copied there once."""
    return interpolation_taps(ratio, phase).to(device, dtype)


def reduce_pan(pan: Tensor, ratio: int) -> Tensor:
    """PAN reduced as in Wald's protocol: antialiased bicubic (a = -0.5), area-aligned."""
    size = (pan.shape[-2] // ratio, pan.shape[-1] // ratio)
    return F.interpolate(pan, size=size, mode="bicubic", antialias=True, align_corners=False)
