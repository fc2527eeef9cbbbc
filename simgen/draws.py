"""The only dice: (recipe, bands, seed, key, image size) -> a frozen Draw.

Every number comes from numpy's PCG64 keyed by seed and sample, so a sample is the same
whatever its place in a batch, a shard or a process.
"""

import hashlib
from dataclasses import dataclass

import numpy as np

from shards.sensors import SENSORS
from simgen.config import Range, Recipe
from simgen.physics.mtf import mtf_taps, paper_taps, response, tap_count
from simgen.physics.spectral import smooth_texture

_TYPICAL_SPREAD = 0.2  # of a photograph's band in 0..1; sets the scale of unexplained texture


@dataclass(frozen=True, kw_only=True, slots=True)
class Draw:
    """All that is random in one sample. C bands, K taps; arrays are never written to."""

    crop: tuple[int, int, int, int]  # row, column, height, width in the photograph, pixels
    resized: tuple[int, int]  # height, width of the crop on the scene grid
    corner: tuple[int, int]  # of the scene in the mirror-extended crop
    flip: tuple[bool, bool]  # vertical, horizontal
    gamma: float  # photograph to light
    rows_C3: np.ndarray
    offset_C: np.ndarray
    pan_rows_1C: np.ndarray
    pan_offset: float
    pan_texture: float  # amplitude of unexplained texture, full scale
    texture_nodes: int
    taps_gt_CK: np.ndarray
    taps_ms_CK: np.ndarray
    taps_pan_1K: np.ndarray
    bits: int
    read_noise: float
    shot_noise: float
    entropy: int  # seeds the noise fields

    def mtf_ms(self, ratio: int) -> tuple[float, ...]:
        """Gains from gt to ms as applied: the taps' own response, not the drawn number."""
        return tuple(round(response(taps, ratio), 6) for taps in self.taps_ms_CK)

    def mtf_pan(self, oversample: int) -> float:
        return round(response(self.taps_pan_1K[0], oversample), 6)

    def softness(self, oversample: int) -> tuple[float, ...]:
        return tuple(round(response(taps, oversample), 6) for taps in self.taps_gt_CK)


def draw_sample(
    recipe: Recipe, *, bands: int, seed: int, key: str, height: int, width: int
) -> Draw:
    """Roll the dice for one sample of a photograph of (height, width) pixels."""
    entropy = int.from_bytes(hashlib.sha256(f"{seed}:{bands}:{key}".encode()).digest()[:16])
    rng = np.random.default_rng(entropy)
    crop, resized, corner = _draw_place(recipe, rng, height, width)
    rows, offset = _draw_bands(recipe, rng, bands)
    pan_rows = _draw_pan(recipe, rng, bands)
    texture = 0.0
    if rng.random() < recipe.pan_unexplained_chance:
        gain = float(pan_rows[0] @ np.abs(rows).sum(1))
        texture = _uniform(rng, recipe.pan_unexplained) * _TYPICAL_SPREAD * gain
    taps_gt, taps_ms, taps_pan = _draw_taps(recipe, rng, bands)
    return Draw(
        crop=crop,
        resized=resized,
        corner=corner,
        flip=(bool(rng.integers(2)), bool(rng.integers(2))),
        gamma=_uniform(rng, recipe.gamma),
        rows_C3=rows,
        offset_C=offset,
        pan_rows_1C=pan_rows,
        pan_offset=_uniform(rng, recipe.pan_offset),
        pan_texture=texture,
        texture_nodes=int(2 ** rng.uniform(2, 7)),
        taps_gt_CK=taps_gt,
        taps_ms_CK=taps_ms,
        taps_pan_1K=taps_pan,
        bits=int(rng.choice(recipe.bits)),
        read_noise=_uniform(rng, recipe.read_noise),
        shot_noise=_uniform(rng, recipe.shot_noise),
        entropy=entropy,
    )


def draw_fields(draw: Draw, *, tile: int, ratio: int, oversample: int) -> tuple[np.ndarray, ...]:
    """Random fields of a sample: texture (1, S, S) on the scene grid; normal noise of MS, PAN."""
    rng = np.random.default_rng([draw.entropy, 1])
    C, side = draw.rows_C3.shape[0], tile // ratio
    size = tile * oversample
    nodes = rng.standard_normal((draw.texture_nodes, draw.texture_nodes), dtype=np.float32)
    texture = draw.pan_texture * smooth_texture(nodes, size)[None]
    noise_ms = rng.standard_normal((C, side, side), dtype=np.float32)
    noise_pan = rng.standard_normal((1, tile, tile), dtype=np.float32)
    return texture.astype(np.float32), noise_ms, noise_pan


def _uniform(rng: np.random.Generator, between: Range) -> float:
    return float(rng.uniform(*between))


def _draw_place(
    recipe: Recipe, rng: np.random.Generator, height: int, width: int
) -> tuple[tuple[int, int, int, int], tuple[int, int], tuple[int, int]]:
    size = recipe.tile * recipe.oversample
    low, high = np.log(recipe.zoom)
    # Mirroring doubles a crop, so half the scene's size must come from the photograph;
    # Recipe.min_side sees to it that this never enlarges.
    zoom = min(float(np.exp(rng.uniform(low, high))), 2 * min(height, width) / size)
    crop_h, crop_w = (min(int(np.ceil(size * zoom)), side) for side in (height, width))
    resized = tuple(min(size, max(-(-size // 2), round(s / zoom))) for s in (crop_h, crop_w))
    row, column = rng.integers(height - crop_h + 1), rng.integers(width - crop_w + 1)
    corner = tuple(int(rng.integers(2 * side - size + 1)) for side in resized)
    if resized == (size, size):
        corner = (0, 0)  # the crop is the scene; no mirror line through it
    return (
        (int(row), int(column), crop_h, crop_w),
        (resized[0], resized[1]),
        (corner[0], corner[1]),
    )


def _draw_bands(recipe: Recipe, rng: np.random.Generator, C: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows from RGB to C bands with gains and offsets folded in, bands in shuffled order."""
    rows, offset = np.zeros((C, 3)), np.zeros(C)
    own = min(C, 3) if rng.random() < recipe.keep_rgb else 0
    rows[:own] = np.eye(3)[::-1][:own]  # blue, green, red
    for band in range(own, C):
        if rng.random() < recipe.signed_rows:
            row = rng.standard_normal(3)
            rows[band] = row / np.abs(row).sum()
            # Lift what would be negative, by all or half of the deepest it can go.
            offset[band] = -np.minimum(rows[band], 0).sum() * rng.uniform(0.5, 1.0)
        else:
            row = rng.uniform(size=3)
            rows[band] = row / row.sum()
    gain = rng.uniform(*recipe.band_gain, size=C)
    rows, offset = rows * gain[:, None], offset * gain + rng.uniform(*recipe.band_offset, size=C)
    order = rng.permutation(C)
    return rows[order].astype(np.float32), offset[order].astype(np.float32)


def _draw_pan(recipe: Recipe, rng: np.random.Generator, C: int) -> np.ndarray:
    """Non-negative weights over a random subset of at least two bands, (1, C)."""
    seen = rng.permutation(C)[: rng.integers(min(2, C), C + 1)]
    weights = np.zeros(C)
    weights[seen] = rng.uniform(size=seen.size) + 1e-3
    weights *= _uniform(rng, recipe.pan_gain) / weights.sum()
    return weights[None].astype(np.float32)


def _draw_taps(
    recipe: Recipe, rng: np.random.Generator, C: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Kernels scene -> gt (C, K), gt -> ms (C, K), scene -> PAN (1, K)."""
    if recipe.kernel == "paper":
        identity = np.ones((C, 1), np.float32)
        return identity, np.tile(paper_taps(), (C, 1)), identity[:1]
    softness = _band_gains(recipe, rng, C, recipe.softness)
    pan_gain = _uniform(rng, recipe.mtf_pan)
    mtf_ms = _band_gains(recipe, rng, C, recipe.mtf_ms)
    if recipe.like_sensor is not None:
        mtf_ms = np.array(SENSORS[recipe.like_sensor].gains(C))
    return (
        _taps(softness, recipe.oversample, recipe.softness),
        _taps(mtf_ms, recipe.ratio, recipe.mtf_ms),
        _taps(np.array([pan_gain]), recipe.oversample, recipe.mtf_pan),
    )


def _band_gains(recipe: Recipe, rng: np.random.Generator, C: int, between: Range) -> np.ndarray:
    spread = rng.uniform(-recipe.band_jitter, recipe.band_jitter, size=C)
    return np.clip(_uniform(rng, between) * (1 + spread), *between)


def _taps(gains: np.ndarray, step: int, between: Range) -> np.ndarray:
    count = tap_count(between[0], step)
    return np.stack([mtf_taps(float(g), step, count) for g in gains])
