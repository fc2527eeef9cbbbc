"""The simulation in numpy, fast: what the CPU computes after decoding, and every device at the end.

float32 throughout. A photograph of 8 bits is turned into light by a table; bands are mixed
before the crop is mirrored to the scene's size, which blur and decimation then do on their way
(physics/fast_blur.py). Tests compare it with the slow and clear numpy_reference.py.
"""

from dataclasses import dataclass

import numpy as np

from simgen.config import Recipe
from simgen.physics.fast_blur import observe_blocks
from simgen.physics.geometry import move_objects, warp
from simgen.physics.guides import synthesised
from simgen.physics.noise import add_noise, striped
from simgen.physics.photograph import colour_jitter, high_pass, to_light
from simgen.physics.radiometry import compressed, quantise
from simgen.physics.shadows import shade
from simgen.physics.spectral import FLOOR
from simgen.sampling import SampleParameters, draw_displacements, draw_noise, draw_texture
from simgen.simulate.job import Arrays


def make(crop_HWF: np.ndarray, draw: SampleParameters, recipe: Recipe) -> Arrays:
    """(gt, ms, pan), uint16, of a photograph's crop already on the scene grid.

    Shapes: (h, w, 3) uint8, or (h, w, channels) float32 in 0..1
            -> (C, H, W), (C, H/ratio, W/ratio), (1, H, W) with H = W = tile.
    """
    return finish(*observe_scene(crop_HWF, draw, recipe), draw, recipe)


def observe_scene(crop_HWF: np.ndarray, draw: SampleParameters, recipe: Recipe) -> Arrays:
    """What the optics pass on, before noise and numbers: float32, 1.0 is full scale."""
    size = recipe.tile * recipe.oversample
    bands, pan_scene = _bands(_light(crop_HWF, draw), draw)
    place = _Place.of(bands.shape[1:], draw, size)
    if recipe.optics.target == "scene":
        return _observe_clean_target(bands, pan_scene, place, draw, recipe)
    if draw.guides:
        optics, fine = draw.optics, recipe.oversample
        gt = place.observe(bands, optics.gt, step=fine)
        ms = observe_blocks(gt, optics.ms, step=recipe.ratio)
        seen = np.repeat(optics.pan, draw.guides, 0)
        return gt, ms, place.observe(pan_scene, seen, step=fine)
    pan_place = place
    if draw.movers or draw.pan_texture or draw.local_shift:
        pan_scene, pan_place = place.laid_out(pan_scene[None])[0], _Place.whole(size)
    if draw.movers:
        pan_scene = move_objects(pan_scene[None], draw.movers)[0]
        if draw.moved_C.any():
            bands, place = place.laid_out(bands), _Place.whole(size)
            bands[draw.moved_C] = move_objects(bands[draw.moved_C], draw.movers)
    if draw.pan_texture:
        pan_scene += draw_texture(draw, size) * pan_scene.std()
    if draw.local_shift:
        pan_scene = warp(pan_scene, *draw_displacements(draw, size))
    optics, fine, ratio = draw.optics, recipe.oversample, recipe.ratio
    gt = place.observe(bands, optics.gt, step=fine)
    if optics.physical:
        ms = place.observe(bands, optics.ms, step=fine * ratio)
    else:
        ms = observe_blocks(gt, optics.ms, step=ratio)
    return gt, ms, pan_place.observe(pan_scene[None], optics.pan, step=fine)


def _observe_clean_target(
    bands: np.ndarray,
    pan_scene: np.ndarray,
    place: "_Place",
    draw: SampleParameters,
    recipe: Recipe,
) -> Arrays:
    """observe_scene() for the target `scene`: objects and ground are displaced in the MS alone."""
    size, optics, fine = recipe.tile * recipe.oversample, draw.optics, recipe.oversample
    gt, pan_place, ms_place = place.observe(bands, optics.gt, step=fine), place, place
    if draw.pan_texture:
        pan_scene, pan_place = place.laid_out(pan_scene[None])[0], _Place.whole(size)
        pan_scene += draw_texture(draw, size) * pan_scene.std()
    if draw.movers or draw.local_shift:
        bands, ms_place = place.laid_out(bands), _Place.whole(size)
    if draw.movers:
        bands[~draw.moved_C] = move_objects(bands[~draw.moved_C], draw.movers)
    if draw.local_shift:
        field = draw_displacements(draw, size)
        shares = zip(bands, draw.local_C, strict=True)
        bands = np.stack([warp(band, *(field * share)) for band, share in shares])
    ms = ms_place.observe(bands, optics.ms, step=fine * recipe.ratio)
    return gt, ms, pan_place.observe(pan_scene[None], optics.pan, step=fine)


def finish(
    gt: np.ndarray, ms: np.ndarray, pan: np.ndarray, draw: SampleParameters, recipe: Recipe
) -> Arrays:
    """Detector and downlink: stripes, noise, digital numbers, compression. gt stays clean."""
    noise, shot = draw_noise(draw, tile=recipe.tile, ratio=recipe.ratio), draw.shot_noise
    if any(draw.stripes):
        ms = _striped(ms, noise.stripes_ms, down=draw.stripes_down)
        pan = _striped(pan, noise.stripes_pan, down=draw.stripes_down)
    if draw.read_pan or shot or draw.read_C.any():
        ms = add_noise(ms, noise.normal_ms, read=draw.read_C[:, None, None], shot=shot)
        pan = add_noise(pan, noise.normal_pan, read=draw.read_pan, shot=shot)
    numbers = [quantise(image, draw.bits) for image in (gt, ms, pan)]
    if draw.guides:
        guides = numbers[2].astype(np.float32)
        of_band = np.repeat(draw.optics.ms[:1], draw.guides, 0)
        low = observe_blocks(guides, of_band, step=recipe.ratio)
        synthetic = synthesised(guides, low, numbers[1][0])
        numbers[2] = quantise(synthetic / np.float32(2**draw.bits - 1), draw.bits)
    if draw.compression:
        step = max(1.0, draw.compression * 2**draw.bits)
        numbers[1:] = [compressed(image, step, draw.bits) for image in numbers[1:]]
    return numbers[0], numbers[1], numbers[2]


def _striped(image: np.ndarray, lines: tuple[np.ndarray, np.ndarray], *, down: bool) -> np.ndarray:
    if down:
        return striped(image, *lines)
    return striped(image.transpose(0, 2, 1), *lines).transpose(0, 2, 1)


def _light(crop_HWF: np.ndarray, draw: SampleParameters) -> np.ndarray:
    """The features of the crop's light, as many as any row needs, and ones: planes of float32."""
    planar = retouched(crop_HWF, draw).transpose(2, 0, 1)
    colours, *sides = planar.shape
    indices = colours == 3 and draw.rows_DF[:, 3:].any()
    light = np.empty((colours + (3 if indices else 1), *sides), np.float32)
    light[-1] = 1
    if planar.dtype == np.uint8:
        encoded = np.arange(256, dtype=np.float32) / np.float32(255)
        # clip: no index of 8 bits lies outside, and numpy then writes without a second buffer.
        table = to_light(encoded, draw.gamma)
        table.take(np.ascontiguousarray(planar), out=light[:colours], mode="clip")
    else:
        light[:colours] = to_light(planar, draw.gamma) if draw.gamma != 1 else planar
    if indices:
        _index(light[3], light[1], (light[0] + light[2]) * np.float32(0.5), light[1] + light[0])
        _index(light[4], light[2], light[0], light[2] + light[0])
    return light


def _index(out: np.ndarray, more: np.ndarray, less: np.ndarray, total: np.ndarray) -> None:
    """max(more - less, 0) / sqrt(total + floor) of features(), in place; total is used up."""
    np.subtract(more, less, out=out)
    np.maximum(out, 0, out=out)
    total += np.float32(FLOOR)
    np.sqrt(total, out=total)
    out /= total


def retouched(crop_HWF: np.ndarray, draw: SampleParameters) -> np.ndarray:
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


@dataclass(frozen=True, kw_only=True, slots=True)
class _Place:
    """Where the scene's rows and columns lie in the crop: place() of physics/geometry.py."""

    down: np.ndarray
    along: np.ndarray

    @classmethod
    def of(cls, sides: tuple[int, ...], draw: SampleParameters, size: int) -> "_Place":
        down, along = (
            _mirrored(*geometry, size)
            for geometry in zip(sides, draw.corner, draw.flip, strict=True)
        )
        return cls(down=down, along=along)

    @classmethod
    def whole(cls, size: int) -> "_Place":
        return cls(down=np.arange(size), along=np.arange(size))

    def laid_out(self, img_CHW: np.ndarray) -> np.ndarray:
        """The scene itself, a copy."""
        wide = img_CHW.take(self.along, axis=2, mode="clip")
        return wide.take(self.down, axis=1, mode="clip")

    def observe(self, img_CHW: np.ndarray, kernels_CR2K: np.ndarray, *, step: int) -> np.ndarray:
        return observe_blocks(img_CHW, kernels_CR2K, step=step, down=self.down, along=self.along)


def _mirrored(side: int, start: int, flip: bool, size: int) -> np.ndarray:
    """`size` pixels of a side's mirror-extension from `start`: which pixel of the crop each is."""
    at = np.arange(start, start + size)
    at = np.minimum(at, 2 * side - 1 - at)
    return at[::-1] if flip else at


def _reflectances(light_FHW: np.ndarray, logits_K4: np.ndarray, tints_DK: np.ndarray) -> np.ndarray:
    """reflectances() of physics/spectral.py, (D, pixels); the shares' sum divides at the end."""
    root = np.ones((4, light_FHW[0].size), np.float32)
    np.sqrt(light_FHW[:3].reshape(3, -1), out=root[:3])
    share = logits_K4 @ root
    share -= share.max(0)
    np.exp(share, out=share)
    tints = tints_DK @ share
    tints /= share.sum(0)
    return tints


def _bands(light_FHW: np.ndarray, draw: SampleParameters) -> tuple[np.ndarray, np.ndarray]:
    """The MS's bands (C, S, S) and the PAN scene (S, S) without its texture, or the guides'."""
    used = light_FHW.shape[0] - 1
    tints = None if draw.materials is None else _reflectances(light_FHW, *draw.materials)
    if draw.shadows:  # materials stay what they are; the last plane is not light
        light_FHW[:-1] *= shade(draw.shadows, light_FHW.shape[1:])
    rows = np.column_stack([draw.rows_DF[:, :used], draw.offset_D])
    mixed = rows @ light_FHW.reshape(used + 1, -1)
    np.maximum(mixed, 0, out=mixed)
    if tints is not None:
        mixed *= tints
    pan = draw.pan_rows_1D @ mixed
    pan += np.float32(draw.pan_offset)
    np.maximum(pan, 0, out=pan)
    sides = light_FHW.shape[1:]
    pans = pan.reshape(-1, *sides)
    return mixed[: draw.bands].reshape(-1, *sides), pans if draw.guides else pans[0]
