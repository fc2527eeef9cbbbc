"""Random parameters of one sample: (recipe, bands, seed, key, image size) -> SampleParameters."""

import hashlib
from dataclasses import dataclass

import numpy as np

from simgen.config import Recipe
from simgen.physics.geometry import Mover
from simgen.physics.photograph import jitter_matrix
from simgen.physics.shadows import Shadow
from simgen.sampling.bands import draw_bands, draw_guides, draw_materials, draw_pan
from simgen.sampling.noise import draw_detector
from simgen.sampling.optics import Optics, draw_optics
from simgen.sampling.shadows import draw_shadows
from simgen.sampling.streams import (
    BANDS,
    GEOMETRY,
    GUIDES,
    MATERIAL,
    NOISE,
    OPTICS,
    PAN,
    PHOTO,
    PLACE,
    SHADOW,
    maybe,
    stream,
    uniform,
    vector,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleParameters:
    """All that is random in one sample; arrays are never written to.

    C bands of the MS; D those and perhaps one that PAN alone sees; F features (spectral.py).
    """

    crop: tuple[int, int, int, int]  # row, column, height, width in the photograph, pixels
    resized: tuple[int, int]  # height, width of the crop on the scene grid
    corner: tuple[int, int]  # of the scene in the mirror-extended crop
    flip: tuple[bool, bool]  # vertical, horizontal
    jitter: tuple[np.ndarray, np.ndarray] | None  # matrix and offset on encoded RGB
    high_pass: float
    gamma: float  # photograph to light
    shadows: tuple[Shadow, ...]  # on the crop
    rows_DF: np.ndarray
    offset_D: np.ndarray
    pan_rows_1D: np.ndarray  # of guides (G, D)
    pan_offset: float
    materials: tuple[np.ndarray, np.ndarray] | None  # logits (K, 4), tints (D, K)
    pan_texture: float  # amplitude of unexplained texture, of PAN's own spread
    texture_nodes: int
    movers: tuple[Mover, ...]  # moved in PAN; of the target `scene`, in the MS
    moved_C: np.ndarray  # bands in which they lie as in PAN
    local_shift: float  # spread of displacements of PAN (target `scene`: MS), scene pixels
    local_nodes: int
    local_C: np.ndarray  # share of them in each band; none where the target is the sensor's
    optics: Optics
    bits: int
    read_C: np.ndarray  # sigma
    read_pan: float
    shot_noise: float
    noise_common: float
    noise_grain: float
    stripes: tuple[float, float]  # sigma of gain and of offset over lines; 0, 0: none
    stripes_down: bool  # lines are columns, as a pushbroom's; else rows
    compression: float  # quantisation step, full scale; 0: none
    entropy: int  # seeds the fields

    @property
    def guides(self) -> int:
        """Sharp bands in place of PAN; 0: a PAN."""
        count = int(self.pan_rows_1D.shape[0])
        return count if count > 1 else 0

    @property
    def bands(self) -> int:
        return int(self.optics.gt.shape[0])


def sample_parameters(
    recipe: Recipe, *, bands: int, seed: int, key: str, height: int, width: int, channels: int = 3
) -> SampleParameters:
    """Draw the parameters of one sample of a photograph of (height, width) pixels.

    `channels` other than three are bands already: no colour jitter, no gamma, no features.
    """
    entropy = int.from_bytes(hashlib.sha256(f"{seed}:{bands}:{key}".encode()).digest()[:16])
    crop, resized, corner = _draw_place(recipe, stream(entropy, PLACE), height, width)
    photo, place = stream(entropy, PHOTO), stream(entropy, GEOMETRY)
    flip = (bool(place.integers(2)), bool(place.integers(2)))
    jitter = _draw_jitter(recipe, photo, channels)
    high_pass = maybe(photo, recipe.photograph.high_pass_chance, recipe.photograph.high_pass)
    gamma = uniform(photo, recipe.photograph.gamma)
    rng = stream(entropy, PAN)
    texture = maybe(rng, recipe.spectral.pan_unexplained_chance, recipe.spectral.pan_unexplained)
    texture_nodes = int(2 ** rng.uniform(4, 7))
    pan_offset = uniform(rng, recipe.spectral.pan_offset)
    if recipe.spectral.guides:
        rows, offset, pan_rows = draw_guides(recipe, stream(entropy, GUIDES), bands, channels)
    else:
        rows, offset = draw_bands(recipe, stream(entropy, BANDS), bands, channels)
        rows, offset, pan_rows = draw_pan(recipe, rng, rows, offset)
    materials = (
        draw_materials(recipe, stream(entropy, MATERIAL), len(rows)) if channels == 3 else None
    )
    movers = _draw_movers(recipe, place)
    moved = np.zeros(bands, bool)
    if movers and place.random() < 0.5:
        moved[place.permutation(bands)[: bands // 2]] = True
    local = maybe(place, recipe.geometry.local_shift_chance, recipe.geometry.local_shift)
    return SampleParameters(
        crop=crop,
        resized=resized,
        corner=corner,
        flip=flip,
        jitter=jitter,
        high_pass=high_pass,
        gamma=gamma if channels == 3 else 1.0,
        shadows=draw_shadows(recipe, stream(entropy, SHADOW), resized),
        rows_DF=rows,
        offset_D=offset,
        pan_rows_1D=pan_rows,
        pan_offset=pan_offset,
        materials=materials,
        pan_texture=texture,
        texture_nodes=texture_nodes,
        movers=movers,
        moved_C=moved,
        local_shift=local * recipe.oversample,
        local_nodes=int(place.integers(3, 9)),
        local_C=_draw_shares(recipe, place, bands),
        optics=draw_optics(recipe, stream(entropy, OPTICS), bands),
        **draw_detector(recipe, stream(entropy, NOISE), bands),
        entropy=entropy,
    )


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


def _draw_jitter(
    recipe: Recipe, rng: np.random.Generator, channels: int
) -> tuple[np.ndarray, np.ndarray] | None:
    photograph = recipe.photograph
    happens = rng.random() < photograph.jitter_chance
    brightness = uniform(rng, photograph.brightness)
    contrast = uniform(rng, photograph.contrast)
    saturation = uniform(rng, photograph.saturation)
    hue = uniform(rng, photograph.hue)
    if not happens or channels != 3:
        return None
    return jitter_matrix(brightness=brightness, contrast=contrast, saturation=saturation, hue=hue)


def _draw_shares(recipe: Recipe, rng: np.random.Generator, C: int) -> np.ndarray:
    """How far terrain displaces each band: all alike, by their order in time, or in between."""
    if recipe.optics.target == "sensor":
        return np.zeros(0, np.float32)
    alike = rng.random()
    when_C = rng.permutation(np.linspace(-1, 1, C) if C > 1 else np.ones(1))
    return (alike + (1 - alike) * when_C).astype(np.float32)


def _draw_movers(recipe: Recipe, rng: np.random.Generator) -> tuple[Mover, ...]:
    size, fine = recipe.tile * recipe.oversample, recipe.oversample
    if rng.random() >= recipe.geometry.moving_chance:
        return ()
    movers = []
    for _ in range(rng.integers(1, 5)):
        half = rng.uniform(*recipe.geometry.moving_size, size=2) * fine
        motion = np.rint(vector(rng, uniform(rng, recipe.geometry.moving) * fine)).astype(int)
        margin = np.ceil(half).astype(int) + np.abs(motion)
        if (2 * margin < size).all():
            centre = rng.integers(margin, size - margin)
            movers.append(
                Mover(
                    centre=(int(centre[0]), int(centre[1])),
                    half=(float(half[0]), float(half[1])),
                    motion=(int(motion[0]), int(motion[1])),
                )
            )
    return tuple(movers)
