"""Random fields of a sample: all that has a number a pixel."""

from dataclasses import dataclass

import numpy as np

from simgen.physics.noise import correlated, grained
from simgen.physics.spectral import smooth_texture
from simgen.sampling.sample import SampleParameters
from simgen.sampling.streams import FIELD, PIXELS, TEXTURE, stream


def draw_texture(draw: SampleParameters, size: int) -> np.ndarray:
    """PAN's unexplained texture on the scene grid: (size, size) float32, of PAN's spread."""
    return smooth_texture(draw_texture_nodes(draw), size) * np.float32(draw.pan_texture)


def draw_texture_nodes(draw: SampleParameters) -> np.ndarray:
    """The coarse grid that draw_texture() interpolates: (nodes, nodes) float32, of spread 1."""
    shape = (draw.texture_nodes, draw.texture_nodes)
    return stream(draw.entropy, TEXTURE).standard_normal(shape, dtype=np.float32)


def draw_displacements(draw: SampleParameters, size: int) -> np.ndarray:
    """PAN's smooth field of displacements: (2, size, size) float32, down and along, pixels."""
    rng = stream(draw.entropy, FIELD)
    nodes = rng.standard_normal((2, draw.local_nodes, draw.local_nodes), dtype=np.float32)
    # Three spreads at most: the tails of a normal law would tear the scene.
    field = np.stack([smooth_texture(n, size) for n in np.clip(nodes, -3, 3)])
    return field * np.float32(draw.local_shift)


@dataclass(frozen=True, kw_only=True, slots=True)
class Noise:
    """Random fields of the detector, for (C, h, w) and (1, H, W), of guides (G, H, W)."""

    normal_ms: np.ndarray
    normal_pan: np.ndarray
    stripes_ms: tuple[np.ndarray, np.ndarray]  # gain (C, n) and offset (C, n), full scale
    stripes_pan: tuple[np.ndarray, np.ndarray]


def draw_noise(draw: SampleParameters, *, tile: int, ratio: int) -> Noise:
    """Unit noise, correlated and grained as drawn, and the stripes."""
    rng, C, side = stream(draw.entropy, PIXELS), draw.bands, tile // ratio
    P = max(1, draw.guides)
    sigmas = np.array(draw.stripes, np.float32)
    stripes_ms = rng.standard_normal((2, C, side), dtype=np.float32) * sigmas[:, None, None]
    stripes_pan = rng.standard_normal((2, P, tile), dtype=np.float32) * sigmas[:, None, None]
    ms = rng.standard_normal((C, side, side), dtype=np.float32)
    pan = rng.standard_normal((P, tile, tile), dtype=np.float32)
    if draw.noise_common:
        common = rng.standard_normal((1, side, side), dtype=np.float32)
        ms = correlated(ms, common, draw.noise_common)
    if draw.noise_grain:
        ms, pan = grained(ms, draw.noise_grain), grained(pan, draw.noise_grain)
    return Noise(
        normal_ms=ms,
        normal_pan=pan,
        stripes_ms=(stripes_ms[0], stripes_ms[1]),
        stripes_pan=(stripes_pan[0], stripes_pan[1]),
    )
