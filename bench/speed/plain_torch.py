"""The `sensor` recipe as one would write it in plain PyTorch, for the CPU: a bench's rival.

One sample at a time, of the same random parameters as ours: Pillow decodes, F.interpolate resizes,
F.conv2d blurs each band with its 2-D kernel and keeps every step-th pixel, torch.randn is noise.
Nothing is made slow on purpose: bands go through conv2d together (groups), and what a sample
did not draw is skipped.
"""

import io
import math

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from simgen.config import Recipe
from simgen.sampling import SampleParameters
from simgen.simulate.job import Arrays


@torch.inference_mode()
def simulate(jpeg: bytes, draw: SampleParameters, recipe: Recipe, *, noisy: bool = True) -> Arrays:
    """(gt, ms, pan) uint16: those of simgen.simulate.numpy_engine, but for the noise itself."""
    size, fine, ratio = recipe.tile * recipe.oversample, recipe.oversample, recipe.ratio
    light = to_light(photograph(jpeg, draw), draw)
    scene = place(light, draw, size)
    rows = torch.from_numpy(draw.rows_DF)
    mixed = torch.einsum("df,fhw->dhw", rows, features(scene))
    mixed = (mixed + torch.from_numpy(draw.offset_D)[:, None, None]).clamp(min=0)
    if draw.materials is not None:
        mixed = mixed * reflectances(scene, draw)
    pan_scene = torch.einsum("pd,dhw->phw", torch.from_numpy(draw.pan_rows_1D), mixed)
    pan_scene = (pan_scene + draw.pan_offset).clamp(min=0)
    bands = mixed[: draw.bands].clone()
    if draw.movers:
        pan_scene = move(pan_scene, draw)
        if draw.moved_C.any():
            moved = torch.from_numpy(draw.moved_C)
            bands[moved] = move(bands[moved], draw)
    if draw.pan_texture and noisy:
        texture = draw.pan_texture * smooth_noise(draw.texture_nodes, 1, size)
        pan_scene = pan_scene + texture * pan_scene.std(correction=0)
    if draw.local_shift and noisy:
        pan_scene = warp(pan_scene, draw.local_shift * smooth_noise(draw.local_nodes, 2, size))
    gt = observe(bands, draw.optics.gt, fine)
    if draw.optics.physical:
        ms = observe(bands, draw.optics.ms, fine * ratio)
    else:
        ms = observe(gt, draw.optics.ms, ratio)
    pan = observe(pan_scene, draw.optics.pan, fine)
    if noisy:
        ms = detector(ms, draw, torch.from_numpy(draw.read_C)[:, None, None])
        pan = detector(pan, draw, torch.tensor(draw.read_pan))
    top = 2**draw.bits - 1
    gt, ms, pan = ((image * top).round().clamp(0, top) for image in (gt, ms, pan))
    if draw.compression:
        ms, pan = compress(ms, draw), compress(pan, draw)
    made = [image.to(torch.int32).numpy().astype(np.uint16) for image in (gt, ms, pan)]
    return made[0], made[1], made[2]


def photograph(jpeg: bytes, draw: SampleParameters) -> Tensor:
    """The crop on the scene grid, retouched: (3, h, w) in 0..1."""
    row, column, height, width = draw.crop
    with Image.open(io.BytesIO(jpeg)) as image:
        pixels = np.asarray(image.convert("RGB"))
    crop = torch.from_numpy(pixels[row : row + height, column : column + width].copy())
    image = crop.permute(2, 0, 1)[None].float() / 255
    image = F.interpolate(
        image, size=draw.resized, mode="bilinear", align_corners=False, antialias=True
    )[0]
    if draw.jitter is not None:
        matrix, offset = (torch.from_numpy(part) for part in draw.jitter)
        image = torch.einsum("cd,dhw->chw", matrix, image) + offset[:, None, None]
        image = image.clamp(0, 1)
    if draw.high_pass:
        binomial = torch.tensor([1.0, 2.0, 1.0]) / 4
        kernel = torch.outer(binomial, binomial).expand(3, 1, 3, 3)
        padded = F.pad(image[None], (1, 1, 1, 1), mode="replicate")
        low = F.conv2d(padded, kernel, groups=3)[0]
        image = (image + draw.high_pass * (image - low)).clamp(0, 1)
    return (image * 255).round() / 255


def to_light(image: Tensor, draw: SampleParameters) -> Tensor:
    return image**draw.gamma


def place(light: Tensor, draw: SampleParameters, size: int) -> Tensor:
    """The photograph and its mirror images, cut at the drawn corner."""
    wide = torch.cat([light, light.flip(2)], 2)
    extended = torch.cat([wide, wide.flip(1)], 1)
    row, column = draw.corner
    scene = extended[:, row : row + size, column : column + size]
    dims = [dim for dim, flip in zip((1, 2), draw.flip, strict=True) if flip]
    return scene.flip(dims) if dims else scene


def features(scene: Tensor) -> Tensor:
    red, green, blue = scene
    vegetation = (green - (red + blue) / 2).clamp(min=0) / torch.sqrt(green + red + 0.02)
    water = (blue - red).clamp(min=0) / torch.sqrt(blue + red + 0.02)
    return torch.stack([red, green, blue, vegetation, water])


def reflectances(scene: Tensor, draw: SampleParameters) -> Tensor:
    """Tints of soft classes of colour."""
    logits, tints = (torch.from_numpy(part) for part in draw.materials)
    classes = torch.einsum("kc,chw->khw", logits[:, :3], torch.sqrt(scene))
    share = torch.softmax(classes + logits[:, 3, None, None], 0)
    return torch.einsum("dk,khw->dhw", tints, share)


def move(image: Tensor, draw: SampleParameters) -> Tensor:
    """Soft ellipses, swapped with the ground beside them."""
    moved = image.clone()
    for mover in draw.movers:
        down, along = (torch.arange(-r, r + 1) for r in mover.reach)
        radius = torch.sqrt(
            (down[:, None] / mover.half[0]) ** 2 + (along[None] / mover.half[1]) ** 2
        )
        mask = ((1 - radius) * min(mover.half) + 0.5).clamp(0, 1)

        def box(of: Tensor, times: int, mover=mover) -> Tensor:
            row, column = (c + times * m for c, m in zip(mover.centre, mover.motion, strict=True))
            (tall, wide) = mover.reach
            return of[:, row - tall : row + tall + 1, column - wide : column + wide + 1]

        box(moved, 0).add_(mask * (box(image, -1) - box(moved, 0)))
        box(moved, 1).add_(mask * (box(image, 0) - box(moved, 1)))
    return moved


def smooth_noise(nodes: int, channels: int, size: int) -> Tensor:
    noise = torch.randn(1, channels, nodes, nodes)
    return F.interpolate(noise, size=(size, size), mode="bilinear", align_corners=True)[0]


def warp(image: Tensor, field: Tensor) -> Tensor:
    """Each pixel from where the field (down, along) points, bicubic."""
    size = image.shape[-1]
    at = torch.arange(size)
    rows = (2 * (at[:, None] + field[0]) + 1) / size - 1
    columns = (2 * (at[None] + field[1]) + 1) / size - 1
    grid = torch.stack([columns, rows], -1)[None]
    return F.grid_sample(
        image[None], grid, mode="bicubic", padding_mode="reflection", align_corners=False
    )[0]


def observe(image: Tensor, kernels_CR2K: np.ndarray, step: int) -> Tensor:
    """Each band with its own 2-D kernel, every step-th pixel."""
    terms = torch.from_numpy(kernels_CR2K)
    kernels = torch.einsum("crk,crl->ckl", terms[:, :, 0], terms[:, :, 1])[:, None]
    pad = (kernels.shape[-1] - step) // 2
    padded = F.pad(image[None], (pad, pad, pad, pad), mode="reflect")
    return F.conv2d(padded, kernels, stride=step, groups=image.shape[0])[0]


def detector(image: Tensor, draw: SampleParameters, read: Tensor) -> Tensor:
    """Stripes, then noise: common to the bands in part, and not quite white."""
    if any(draw.stripes):
        lines = (len(image), 1, image.shape[2]) if draw.stripes_down else (*image.shape[:2], 1)
        gain, offset = (sigma * torch.randn(lines) for sigma in draw.stripes)
        image = image * (1 + gain) + offset
    noise = torch.randn_like(image)
    if draw.noise_common and len(image) > 1:
        common = torch.randn(1, *image.shape[1:])
        share = draw.noise_common
        noise = math.sqrt(1 - share) * noise + math.sqrt(share) * common
    if draw.noise_grain:
        taps = torch.tensor([draw.noise_grain, 1.0, draw.noise_grain])
        taps = taps / taps.norm()
        kernel = torch.outer(taps, taps).expand(len(image), 1, 3, 3)
        padded = F.pad(noise[None], (1, 1, 1, 1), mode="circular")
        noise = F.conv2d(padded, kernel, groups=len(image))[0]
    return image + torch.sqrt(read**2 + draw.shot_noise * image.clamp(min=0)) * noise


def compress(numbers: Tensor, draw: SampleParameters) -> Tensor:
    """JPEG's cosines, quantised with one step, and back."""
    step, level = max(1.0, draw.compression * 2**draw.bits), 2 ** (draw.bits - 1)
    frequency, sample = torch.arange(8)[:, None], torch.arange(8)[None]
    cosines = 0.5 * torch.cos(math.pi * (2 * sample + 1) * frequency / 16)
    cosines[0] /= math.sqrt(2)
    _, H, W = numbers.shape
    padded = F.pad(numbers[None], (0, -W % 8, 0, -H % 8), mode="replicate")[0] - level
    blocks = padded.unfold(1, 8, 8).unfold(2, 8, 8)  # (C, rows, columns, 8, 8)
    spectrum = cosines @ blocks @ cosines.T
    back = cosines.T @ ((spectrum / step).round() * step) @ cosines
    whole = back.transpose(2, 3).reshape(padded.shape)[:, :H, :W] + level
    return whole.round().clamp(0, 2**draw.bits - 1)
