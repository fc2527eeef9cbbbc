"""The whole simulation of one sample, slow and clear: what pipeline.py must agree with."""

import numpy as np

from simgen.config import Recipe
from simgen.draws import Draw, draw_fields
from simgen.physics.mtf import observe
from simgen.physics.radiometry import add_noise, quantise
from simgen.physics.spectral import mix


def simulate(
    scene_HW3: np.ndarray, draw: Draw, recipe: Recipe
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(gt, ms, pan), uint16, of a scene already cropped, resized, placed and flipped.

    Shapes: (S, S, 3) float32 in 0..1, S = tile * oversample
            -> (C, H, W), (C, H/ratio, W/ratio), (1, H, W) with H = W = tile.
    """
    texture, noise_ms, noise_pan = draw_fields(
        draw, tile=recipe.tile, ratio=recipe.ratio, oversample=recipe.oversample
    )
    light = np.power(scene_HW3, draw.gamma, dtype=np.float32).transpose(2, 0, 1)
    bands = mix(light, draw.rows_C3, draw.offset_C)
    pan_scene = mix(bands, draw.pan_rows_1C, np.array([draw.pan_offset])) + texture
    gt = observe(bands, draw.taps_gt_CK, step=recipe.oversample)
    ms = observe(gt, draw.taps_ms_CK, step=recipe.ratio)
    pan = observe(pan_scene, draw.taps_pan_1K, step=recipe.oversample)
    noise = {"read": draw.read_noise, "shot": draw.shot_noise}
    ms, pan = add_noise(ms, noise_ms, **noise), add_noise(pan, noise_pan, **noise)
    return quantise(gt, draw.bits), quantise(ms, draw.bits), quantise(pan, draw.bits)
