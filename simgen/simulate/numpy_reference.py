"""The whole simulation of one sample, slow and clear: the fast engines must match it.

It differs wherever they are optimised: images extended by copies, powers for tables, sliding
windows for banded matrices. Parts shared with them (the warp, cosines, random fields) are tested
against scipy, Pillow or an identity.
"""

import numpy as np

from simgen.config import Recipe
from simgen.physics.geometry import move_objects, place, warp
from simgen.physics.mtf import observe_kernels
from simgen.physics.noise import add_noise
from simgen.physics.photograph import colour_jitter, high_pass, to_light
from simgen.physics.radiometry import compressed, quantise
from simgen.physics.shadows import Shadow
from simgen.physics.spectral import features, mix, reflectances
from simgen.sampling import SampleParameters, draw_displacements, draw_noise, draw_texture
from simgen.simulate.job import Arrays


def simulate(crop_HWF: np.ndarray, draw: SampleParameters, recipe: Recipe) -> Arrays:
    """(gt, ms, pan), uint16, of a photograph's crop already on the scene grid.

    Shapes: (h, w, 3) uint8, or (h, w, channels) float32 in 0..1
            -> (C, H, W), (C, H/ratio, W/ratio), (1, H, W) with H = W = tile.
    """
    light = to_light(_encoded(crop_HWF, draw), draw.gamma)
    size = recipe.tile * recipe.oversample
    scene = place(light, draw.corner, size, draw.flip)
    lit = place(_lit(draw.shadows, light.shape[:2]), draw.corner, size, draw.flip)
    gt, ms, pan = _optics(scene.transpose(2, 0, 1), lit.transpose(2, 0, 1), draw, recipe)
    ms, pan = _detector(ms, pan, draw, recipe)
    numbers = [quantise(image, draw.bits) for image in (gt, ms, pan)]
    if draw.guides:
        numbers[2] = _regressed(numbers[2], numbers[1][0], draw, recipe)
    if draw.compression:
        step = max(1.0, draw.compression * 2**draw.bits)
        numbers[1:] = [compressed(image, step, draw.bits) for image in numbers[1:]]
    return numbers[0], numbers[1], numbers[2]


def _regressed(
    guides_GHW: np.ndarray, band_hw: np.ndarray, draw: SampleParameters, recipe: Recipe
) -> np.ndarray:
    """The PAN of a band: least squares of [1, guides at its scale], applied to the guides."""
    low = [
        observe_kernels(guide[None].astype(np.float64), draw.optics.ms[:1], step=recipe.ratio)[0]
        for guide in guides_GHW
    ]
    design = np.stack([np.ones(band_hw.size), *(image.ravel() for image in low)], 1)
    weights = np.linalg.lstsq(design, band_hw.ravel().astype(np.float64), rcond=None)[0]
    pan = weights[0] + np.tensordot(weights[1:], guides_GHW.astype(np.float64), 1)
    top = 2**draw.bits - 1
    return np.clip(np.rint(pan), 0, top).astype(np.uint16)[None]


def _encoded(crop_HWF: np.ndarray, draw: SampleParameters) -> np.ndarray:
    eight_bit = crop_HWF.dtype == np.uint8
    # Times the reciprocal: a grey of the photograph on a rounding edge would fall elsewhere.
    image = crop_HWF * np.float32(1 / 255) if eight_bit else crop_HWF
    if draw.jitter is not None:
        image = colour_jitter(image, *draw.jitter)
    if draw.high_pass:
        image = high_pass(image, draw.high_pass)
    touched = draw.jitter is not None or draw.high_pass > 0
    return np.rint(image * 255).astype(np.float32) / 255 if eight_bit and touched else image


def _lit(shadows: tuple[Shadow, ...], shape: tuple[int, int]) -> np.ndarray:
    """The share of light at each pixel, (H, W, 1): every shadow over the whole image."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    shares = [1 - (1 - s.light) * s.within(rows, columns) for s in shadows]
    return np.min([np.ones(shape), *shares], axis=0).astype(np.float32)[..., None]


def _optics(
    light_FHW: np.ndarray, lit_1HW: np.ndarray, draw: SampleParameters, recipe: Recipe
) -> Arrays:
    size, optics = recipe.tile * recipe.oversample, draw.optics
    seen = features(light_FHW)
    mixed = mix(seen * lit_1HW, draw.rows_DF, draw.offset_D)
    if draw.materials is not None:
        mixed = mixed * reflectances(light_FHW, *draw.materials)
    pan_scene = mix(mixed, draw.pan_rows_1D, np.full(len(draw.pan_rows_1D), draw.pan_offset))
    bands = mixed[: draw.bands]
    if draw.guides:
        gt = observe_kernels(bands, optics.gt, step=recipe.oversample)
        guides = [
            observe_kernels(guide[None], optics.pan, step=recipe.oversample)[0]
            for guide in pan_scene
        ]
        return gt, observe_kernels(gt, optics.ms, step=recipe.ratio), np.stack(guides)
    if recipe.optics.target == "scene":
        return _clean_target(bands, pan_scene, draw, recipe)
    later = move_objects(bands, draw.movers)
    bands = np.where(draw.moved_C[:, None, None], later, bands)
    pan_scene = move_objects(pan_scene, draw.movers)
    pan_scene = pan_scene + draw_texture(draw, size) * pan_scene.std()
    if draw.local_shift:
        pan_scene = warp(pan_scene[0], *draw_displacements(draw, size))[None]
    gt = observe_kernels(bands, optics.gt, step=recipe.oversample)
    if optics.physical:
        ms = observe_kernels(bands, optics.ms, step=recipe.oversample * recipe.ratio)
    else:
        ms = observe_kernels(gt, optics.ms, step=recipe.ratio)
    return gt, ms, observe_kernels(pan_scene, optics.pan, step=recipe.oversample)


def _clean_target(
    bands_CHW: np.ndarray, pan_1HW: np.ndarray, draw: SampleParameters, recipe: Recipe
) -> Arrays:
    """The target `scene`: gt and PAN show the ground where it is, each MS band where it saw it."""
    size, fine, optics = recipe.tile * recipe.oversample, recipe.oversample, draw.optics
    displaced = bands_CHW.copy()
    for c in range(draw.bands):
        if not draw.moved_C[c]:
            displaced[c] = move_objects(bands_CHW, draw.movers)[c]
        if draw.local_shift:
            down, along = draw_displacements(draw, size) * draw.local_C[c]
            displaced[c] = warp(displaced[c], down, along)
    texture = draw_texture(draw, size) * pan_1HW.std()
    return (
        observe_kernels(bands_CHW, optics.gt, step=fine),
        observe_kernels(displaced, optics.ms, step=fine * recipe.ratio),
        observe_kernels(pan_1HW + texture, optics.pan, step=fine),
    )


def _detector(
    ms: np.ndarray, pan: np.ndarray, draw: SampleParameters, recipe: Recipe
) -> tuple[np.ndarray, np.ndarray]:
    noise = draw_noise(draw, tile=recipe.tile, ratio=recipe.ratio)
    made = []
    for image, lines, normal, read in (
        (ms, noise.stripes_ms, noise.normal_ms, draw.read_C),
        (pan, noise.stripes_pan, noise.normal_pan, np.full(len(pan), draw.read_pan)),
    ):
        noisy = np.empty_like(image)
        for c, band in enumerate(image):
            gain, offset = lines[0][c], lines[1][c]
            if not draw.stripes_down:
                gain, offset = gain[:, None], offset[:, None]
            noisy[c] = add_noise(
                band * (1 + gain) + offset, normal[c], read=float(read[c]), shot=draw.shot_noise
            )
        made.append(noisy)
    return made[0], made[1]
