"""MTF blur and resampling in torch, area-aligned. Axes as in pan_batch.py.

simgen/physics/mtf.py is the numpy twin of `degrade`; tests/handover holds one to the other.
"""

import math
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from fusiontrain.imaging.pan_batch import GridPhase

LOBES = 4  # of interpolation kernels
STRIDE = 16  # pixels whose interpolation is one product
CRISP = 0.8  # fine pixels: under this sigma, samples no longer make a Gaussian
LEAST_GAIN = 0.02  # kernels hold 4 sigma down to this gain at Nyquist


def gain_to_sigma(gain: Tensor, ratio: int) -> Tensor:
    """Sigma, in fine pixels, of the Gaussian of this gain at a `ratio` coarser grid's Nyquist."""
    safe = gain.clamp(LEAST_GAIN, 1 - 1e-6)
    return ratio / math.pi * torch.sqrt(-2 * torch.log(safe))


def sigma_to_gain(sigma: Tensor, ratio: int) -> Tensor:
    return torch.exp(-0.5 * (sigma * math.pi / ratio) ** 2)


def gaussian_taps(sigma: Tensor, step: int) -> Tensor:
    """(...,) sigmas in fine pixels -> (..., K) taps of sum 1; K has the parity of step.

    Reach on either side: four sigma, and at least five pixels and one step.
    """
    reach = torch.ceil(4 * sigma).clamp_min(max(step, LOBES + 1))
    count = 2 * int(reach.max()) + step % 2
    t = torch.arange(count, dtype=sigma.dtype, device=sigma.device) - (count - 1) / 2
    # A sigma near zero means no blur: the floor keeps the exponent finite.
    taps = torch.exp(-0.5 * (t / sigma.clamp_min(0.05)[..., None]) ** 2)
    # Each ends at its own 4 sigma, so that a kernel does not depend on its neighbours.
    taps = taps * (t.abs() <= reach[..., None])
    taps = taps / taps.sum(-1, keepdim=True)
    crisp = (sigma < CRISP)[..., None]
    if step % 2 or not bool(crisp.any()):
        # At odd steps the samples stay: a narrow one softens less than its gain says, and on
        # real scenes that fuses better (PAN brings a blur of its own): 2.42 against 2.46 ERGAS.
        return taps
    return torch.where(crisp, _crisp_taps(sigma, step, count), taps)


def _crisp_taps(sigma: Tensor, step: int, count: int) -> Tensor:
    """Taps of the Gaussian's response at the coarse Nyquist, for Gaussians too narrow to sample.

    Even steps: an interpolation to half-way between fine pixels, then three taps.
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
    """Gaussian blur of every channel by its own sigma, keeping every step-th pixel, area-aligned.

    Shapes: (B, C, H, W), (B, C) -> (B, C, H/step, W/step); an image of one channel is seen
            through all C sigmas. Border: mirrored, edge pixel repeated.
    """
    B, C = sigma.shape
    taps = gaussian_taps(sigma, step).to(image.dtype)
    K = taps.shape[-1]
    pad = (K - step) // 2
    if image.dtype == torch.float64 and image.device.type == "cpu":
        rows = down_rows(mirror(image, pad, 2), taps, step)
        return down_rows(mirror(rows.mT, pad, 2), taps, step).mT
    groups = B * image.shape[1]
    flat = image.reshape(1, groups, *image.shape[2:])
    vertical = taps.reshape(B * C, 1, K, 1)
    rows = F.conv2d(mirror(flat, pad, 2), vertical, stride=(step, 1), groups=groups)
    seen = F.conv2d(
        mirror(rows, pad, 3), taps.reshape(B * C, 1, 1, K), stride=(1, step), groups=B * C
    )
    return seen.reshape(B, C, *seen.shape[2:])


def down_rows(image: Tensor, taps: Tensor, step: int) -> Tensor:
    """Every channel's rows weighted by its taps, at every step-th place where they fit.

    Shapes: (B, C or 1, H, W), (B, C, K) -> (B, C, (H - K) // step + 1, W).
    What a convolution does; torch lays K copies of a float64 image side by side for one, which
    costs several times as much.
    """
    K = taps.shape[-1]
    height = (image.shape[2] - K) // step + 1
    out = image.new_zeros(*taps.shape[:2], height, image.shape[3])
    for k in range(K):
        seen = image[:, :, k : k + step * (height - 1) + 1 : step]
        out.addcmul_(seen, taps[:, :, k, None, None])
    return out


def mirror(image: Tensor, pad: int, axis: int) -> Tensor:
    """Extend by `pad` on both sides, the edge pixel repeated; any pad, also beyond the image."""
    if pad == 0:
        return image
    size = image.shape[axis]
    if pad <= size:  # a copy in whole rows
        before, after = image.narrow(axis, 0, pad), image.narrow(axis, size - pad, pad)
        return torch.cat([before.flip(axis), image, after.flip(axis)], axis)
    index = torch.arange(-pad, size + pad, device=image.device) % (2 * size)
    return image.index_select(axis, torch.where(index < size, index, 2 * size - 1 - index))


def degrade(image: Tensor, mtf: Tensor, ratio: int, phase: GridPhase = "aligned") -> Tensor:
    """What an MS sensor of these gains sees of a finer image: (B, C, H, W) -> (B, C, h, w)."""
    return to_ms(image, gain_to_sigma(mtf, ratio), ratio, phase)


def to_ms(image: Tensor, sigma: Tensor, ratio: int, phase: GridPhase = "aligned") -> Tensor:
    """`blur` at the places of the MS's pixels, in either phase: (B, C, H, W) -> (B, C, h, w)."""
    if phase == "aligned":
        return blur(image, sigma, step=ratio)
    return blur(image, sigma)[..., ratio // 2 :: ratio, ratio // 2 :: ratio]


def upsample(image: Tensor, ratio: int, phase: GridPhase = "aligned") -> Tensor:
    """Lanczos interpolation from the MS's grid onto the PAN's: (B, C, h, w) -> (B, C, H, W).

    Four lobes, corrected so that constants and ramps pass exactly. Border: mirrored, edge
    pixel repeated. It beats bicubic (a = -0.75) by 1 % of ERGAS in EXP, GSA and MTF-GLP-FS.
    """
    B, C, h, w = image.shape
    if image.dtype == torch.float32 and image.device.type == "cpu":
        return _upsample_by_products(image, ratio, phase)
    taps = interpolation_taps(ratio, phase).to(image)  # (ratio, K)
    flat = mirror(image.reshape(B * C, 1, h, w), LOBES, 2)
    rows = F.conv2d(flat, taps[:, None, :, None])  # (BC, ratio, h, w): one plane a phase
    rows = rows.transpose(1, 2).reshape(B * C, 1, h * ratio, w)
    planes = F.conv2d(mirror(rows, LOBES, 3), taps[:, None, None, :])
    return planes.permute(0, 2, 3, 1).reshape(B, C, h * ratio, w * ratio)


def correlate(image: Tensor, taps: Tensor, axis: int) -> Tensor:
    """(..., H, W) weighted by K taps along the axis -2 or -1, where all of them fit.

    Shapes: the axis loses K - 1 pixels. By products, as interpolation: see there.
    """
    K, size = len(taps), image.shape[axis] - len(taps) + 1
    table = taps.new_zeros(STRIDE + K - 1, STRIDE)
    for i in range(STRIDE):
        table[i : i + K, i] = taps
    pieces = _unfolded(image, axis, STRIDE + K - 1, -size % STRIDE)
    if axis == -2:  # (..., n, W, STRIDE + K - 1)
        return (table.T @ pieces.mT).flatten(-3, -2)[..., :size, :]
    return (pieces @ table).flatten(-2)[..., :size]


def _upsample_by_products(image: Tensor, ratio: int, phase: GridPhase) -> Tensor:
    """The same: STRIDE pixels and their neighbours times one table that holds all their taps.

    Two thirds of the table are zeros, and still a product of matrices takes a third of the time
    of a convolution of one channel, and leaves its pixels in their final order.
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
    """Every STRIDE pixels along `axis`, with LOBES more on each side, as a new last axis."""
    padded = mirror(image, LOBES, image.ndim + axis)
    return _unfolded(padded, axis, STRIDE + 2 * LOBES, -image.shape[axis] % STRIDE)


def _unfolded(image: Tensor, axis: int, length: int, missing: int) -> Tensor:
    """Pieces of `length` pixels, one every STRIDE, as a new last axis; zeros at the end."""
    if missing:
        more = list(image.shape)
        more[axis] = missing
        image = torch.cat([image, image.new_zeros(more)], axis)
    return image.unfold(axis, length, STRIDE)


@cache
@torch.inference_mode(False)
def _interpolation_table(ratio: int, phase: GridPhase) -> Tensor:
    """(STRIDE + 2 LOBES, STRIDE * ratio): column i * ratio + r holds phase r's taps from row i."""
    taps = interpolation_taps(ratio, phase).float()
    table = torch.zeros(STRIDE + 2 * LOBES, STRIDE * ratio)
    for i in range(STRIDE):
        table[i : i + 2 * LOBES + 1, i * ratio : (i + 1) * ratio] = taps.T
    return table


@cache
@torch.inference_mode(False)  # kept for training too, whoever asks first
def interpolation_taps(ratio: int, phase: GridPhase) -> Tensor:
    """(ratio, 2 LOBES + 1): weights of the MS pixels around each of a pixel's fine positions."""
    t = torch.arange(-LOBES, LOBES + 1, dtype=torch.float64)
    centre = (ratio - 1) / 2 if phase == "aligned" else ratio // 2
    place = (torch.arange(ratio, dtype=torch.float64) - centre) / ratio
    x = t - place[:, None]
    taps = torch.sinc(x) * torch.sinc(x / LOBES) * (x.abs() < LOBES)
    # The smallest change, weighted by the taps, that makes sum 1 and first moment the place.
    weight = taps.abs()
    basis = torch.stack([torch.ones_like(t), t])
    normal = torch.einsum("ik,rk,jk->rij", basis, weight, basis)
    missing = torch.stack([1 - taps.sum(1), place - taps @ t], 1)
    return taps + weight * (torch.linalg.solve(normal, missing) @ basis)


def reduce_pan(pan: Tensor, ratio: int) -> Tensor:
    """PAN as Wald's protocol reduces it: antialiased bicubic (a = -0.5), area-aligned."""
    size = (pan.shape[-2] // ratio, pan.shape[-1] // ratio)
    return F.interpolate(pan, size=size, mode="bicubic", antialias=True, align_corners=False)
