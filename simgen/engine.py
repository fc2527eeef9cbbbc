"""The simulation in numpy, fast: what the CPU computes after decoding, and every device at the end.

float32 throughout. Blur and decimation are products of banded matrices, in blocks, so that
only the band is multiplied; a photograph of 8 bits is turned into light by a table. The slow
and clear form of all this is twin.py, which tests hold it to.
"""

from collections.abc import Iterator

import numpy as np

from simgen.config import Recipe
from simgen.draws import Draw, draw_displacements, draw_noise, draw_texture
from simgen.physics.geometry import move_objects, warp
from simgen.physics.noise import add_noise, striped
from simgen.physics.photo import colour_jitter, high_pass, to_light
from simgen.physics.radiometry import compressed, quantise
from simgen.physics.spectral import FLOOR

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray]  # gt, ms, pan
_BLOCK = 16  # coarse pixels a block at most


def make(crop_HWF: np.ndarray, draw: Draw, recipe: Recipe) -> Arrays:
    """(gt, ms, pan), uint16, of a photograph's crop already on the scene grid.

    Shapes: (h, w, 3) uint8, or (h, w, channels) float32 in 0..1
            -> (C, H, W), (C, H/ratio, W/ratio), (1, H, W) with H = W = tile.
    """
    return finish(*observe_scene(crop_HWF, draw, recipe), draw, recipe)


def observe_scene(crop_HWF: np.ndarray, draw: Draw, recipe: Recipe) -> Arrays:
    """What the optics pass on, before noise and numbers: float32, 1.0 is full scale."""
    size = recipe.tile * recipe.oversample
    bands, pan_scene = _bands(_light(crop_HWF, draw, size), draw)
    if draw.movers:
        pan_scene = move_objects(pan_scene[None], draw.movers)[0]
        bands[draw.moved_C] = move_objects(bands[draw.moved_C], draw.movers)
    if draw.pan_texture:
        pan_scene += draw_texture(draw, size)
    if draw.local_shift:
        pan_scene = warp(pan_scene, *draw_displacements(draw, size))
    optics, fine, ratio = draw.optics, recipe.oversample, recipe.ratio
    gt = observe_blocks(bands, optics.gt, step=fine)
    if optics.physical:
        ms = observe_blocks(bands, optics.ms, step=fine * ratio)
    else:
        ms = observe_blocks(gt, optics.ms, step=ratio)
    return gt, ms, observe_blocks(pan_scene[None], optics.pan, step=fine)


def finish(gt: np.ndarray, ms: np.ndarray, pan: np.ndarray, draw: Draw, recipe: Recipe) -> Arrays:
    """Detector and downlink: stripes, noise, digital numbers, compression. gt stays clean."""
    noise, shot = draw_noise(draw, tile=recipe.tile, ratio=recipe.ratio), draw.shot_noise
    if any(draw.stripes):
        ms = _striped(ms, noise.stripes_ms, down=draw.stripes_down)
        pan = _striped(pan, noise.stripes_pan, down=draw.stripes_down)
    if draw.read_pan or shot or draw.read_C.any():
        ms = add_noise(ms, noise.normal_ms, read=draw.read_C[:, None, None], shot=shot)
        pan = add_noise(pan, noise.normal_pan, read=draw.read_pan, shot=shot)
    numbers = [quantise(image, draw.bits) for image in (gt, ms, pan)]
    if draw.compression:
        step = max(1.0, draw.compression * 2**draw.bits)
        numbers[1:] = [compressed(image, step, draw.bits) for image in numbers[1:]]
    return numbers[0], numbers[1], numbers[2]


def _striped(image: np.ndarray, lines: tuple[np.ndarray, np.ndarray], *, down: bool) -> np.ndarray:
    if down:
        return striped(image, *lines)
    return striped(image.transpose(0, 2, 1), *lines).transpose(0, 2, 1)


def _light(crop_HWF: np.ndarray, draw: Draw, size: int) -> np.ndarray:
    """The features of the scene's light, as many as any row needs, and ones: float32."""
    image = retouched(crop_HWF, draw)
    if image.dtype == np.uint8:
        encoded = np.arange(256, dtype=np.float32) / np.float32(255)
        image = to_light(encoded, draw.gamma).take(image)
    elif draw.gamma != 1:
        image = to_light(image, draw.gamma)
    planar = image.transpose(2, 0, 1)
    colours = planar.shape[0]
    indices = colours == 3 and draw.rows_DF[:, 3:].any()
    scene = np.empty((colours + (3 if indices else 1), size, size), np.float32)
    scene[-1] = 1
    rows, columns = (
        _mirrored(*geometry, size)
        for geometry in zip(planar.shape[1:], draw.corner, draw.flip, strict=True)
    )
    for to_row, from_row in rows:
        for to_column, from_column in columns:
            scene[:colours, to_row, to_column] = planar[:, from_row, from_column]
    if indices:
        _index(scene[3], scene[1], (scene[0] + scene[2]) * np.float32(0.5), scene[1] + scene[0])
        _index(scene[4], scene[2], scene[0], scene[2] + scene[0])
    return scene


def _index(out: np.ndarray, more: np.ndarray, less: np.ndarray, total: np.ndarray) -> None:
    """max(more - less, 0) / sqrt(total + floor) of features(), in place; total is used up."""
    np.subtract(more, less, out=out)
    np.maximum(out, 0, out=out)
    total += np.float32(FLOOR)
    np.sqrt(total, out=total)
    out /= total


def retouched(crop_HWF: np.ndarray, draw: Draw) -> np.ndarray:
    """Jitter and high-pass filter, of the crop's own type: an 8-bit photograph stays one."""
    if draw.jitter is None and not draw.high_pass:
        return crop_HWF
    eight_bit = crop_HWF.dtype == np.uint8
    image = crop_HWF * np.float32(1 / 255) if eight_bit else crop_HWF
    if draw.jitter is not None:
        image = colour_jitter(image, *draw.jitter)
    if draw.high_pass:
        image = high_pass(image, draw.high_pass)
    return np.rint(image * np.float32(255)).astype(np.uint8) if eight_bit else image


def _mirrored(side: int, start: int, flip: bool, size: int) -> list[tuple[slice, slice]]:
    """`size` pixels of a side's mirror-extension from `start`: pieces of the scene and the crop."""
    straight = max(0, min(side - start, size))
    back = 2 * side - 1 - (start + straight)  # where the mirrored piece begins, going down
    stop = back - (size - straight)
    pieces = [
        (slice(0, straight), slice(start, start + straight)),
        (slice(straight, size), slice(back, stop if stop >= 0 else None, -1)),
    ]
    if flip:
        pieces = [(slice(size - to.start - 1, _end(size - to.stop), -1), at) for to, at in pieces]
    return [(to, at) for to, at in pieces if at.start != at.stop]


def _end(stop: int) -> int | None:
    return stop - 1 if stop > 0 else None


def _bands(light_FHW: np.ndarray, draw: Draw) -> tuple[np.ndarray, np.ndarray]:
    """The MS's bands (C, S, S) and the PAN scene (S, S) without its texture."""
    used = light_FHW.shape[0] - 1
    rows = np.column_stack([draw.rows_DF[:, :used], draw.offset_D])
    mixed = rows @ light_FHW.reshape(used + 1, -1)
    np.maximum(mixed, 0, out=mixed)
    pan = draw.pan_rows_1D @ mixed
    pan += np.float32(draw.pan_offset)
    np.maximum(pan, 0, out=pan)
    size = light_FHW.shape[1]
    return mixed[: draw.bands].reshape(-1, size, size), pan.reshape(size, size)


def observe_blocks(img_CHW: np.ndarray, kernels_CR2K: np.ndarray, *, step: int) -> np.ndarray:
    """observe_kernels() of physics/mtf.py as products of banded matrices; same shapes, border."""
    C, H, W = img_CHW.shape
    out = np.empty((C, H // step, W // step), np.float32)
    rows, seen = np.empty((H // step, W), np.float32), np.empty(out.shape[1:], np.float32)
    for c, (band, terms) in enumerate(zip(img_CHW, kernels_CR2K, strict=True)):
        first = True
        for down, along in terms:
            if not down.any():
                continue  # padding to the terms of another band
            for to, at, block in _banded(down, H, step):
                np.matmul(block, band[at], out=rows[to])
            target = out[c] if first else seen
            for to, at, block in _banded(along, W, step):
                target[:, to] = rows[:, at] @ block.T
            if not first:
                out[c] += seen
            first = False
    return out


def _banded(taps: np.ndarray, size: int, step: int) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """Blocks of the matrix that blurs and decimates: coarse rows, fine rows they need, weights."""
    taps = np.trim_zeros(taps) if taps[0] == 0 == taps[-1] and _symmetric(taps) else taps
    coarse, reach = size // step, (taps.size - step) // 2
    side = next(n for n in range(min(_BLOCK, coarse), 0, -1) if coarse % n == 0)
    inner = np.zeros((side, (side - 1) * step + taps.size), np.float32)
    for i in range(side):
        inner[i, i * step : i * step + taps.size] = taps
    for top in range(0, coarse, side):
        low = top * step - reach
        high = low + inner.shape[1]
        if low >= 0 and high <= size:
            yield slice(top, top + side), slice(low, high), inner
        else:
            block, at = _folded(inner, low, size)
            yield slice(top, top + side), at, block


def _symmetric(taps: np.ndarray) -> bool:
    used = np.flatnonzero(taps)
    return bool(used.size) and used[0] == taps.size - 1 - used[-1]


def _folded(block: np.ndarray, low: int, size: int) -> tuple[np.ndarray, slice]:
    """The block and its columns when what reaches over the rims is laid back by mirroring."""
    before, after = max(0, -low), max(0, low + block.shape[1] - size)
    inside = block[:, before : block.shape[1] - after].copy()
    if max(before, after) > inside.shape[1]:  # a kernel wider than the image: mirrored twice
        at = np.arange(low, low + block.shape[1]) % (2 * size)
        whole = np.zeros((size, block.shape[0]), np.float32)
        np.add.at(whole, np.minimum(at, 2 * size - 1 - at), block.T)
        return np.ascontiguousarray(whole.T), slice(0, size)
    if before:
        inside[:, :before] += block[:, before - 1 :: -1]
    if after:
        inside[:, inside.shape[1] - after :] += block[:, : -after - 1 : -1]
    return inside, slice(low + before, low + block.shape[1] - after)
