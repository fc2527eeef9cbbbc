"""Scenes of known truth: images far sharper than the PAN that is simulated from them.

An image is reduced by four where it is large enough, else by three or two, so that its own blur,
JPEG blocks and noise are gone; what is left is the ground. One draw of sensor and faults a scene,
by the file's name alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from shards.schema import Facts
from simgen.building.image_check import EncodedImage, MultibandImage, examine
from simgen.config import Recipe
from simgen.errors import SourceError
from simgen.recipes.known import known
from simgen.sampling import SampleParameters, sample_parameters
from simgen.simulate.dispatch import Arrays, DecodeError, Job, run
from simgen.sources.folder import list_folder
from simgen.sources.source import Photo

RATIO, OVERSAMPLE = 4, 2
SIDE = 256  # PAN pixels: images that give less a side are reduced less
LEAST_SIDE = {4: SIDE, 3: 160, 2: 120}  # PAN pixels a side by pixels of the image in one of PAN
MOST_TILES = 4  # scenes of one image, those nearest its middle
SEED = 0
BANDS = (4, 4, 8)  # of an RGB image, drawn
_MAX_PIXELS, _MAX_BYTES = 200_000_000, 1_000_000_000
# Where blue, green, red and further bands go: as WorldView-2's and -3's bands lie.
_ORDER_OF_8 = (3, 0, 1, 4, 2, 5, 6, 7)
_NAMES_OF_8 = ("coastal", "blue", "green", "yellow", "red", "rededge", "nir1", "nir2")
_NAMES_OF_4 = ("blue", "green", "red", "nir")
_NAIP_ORDER = (2, 1, 0, 3)  # red, green, blue, NIR in its files


@dataclass(frozen=True, kw_only=True, slots=True)
class Tile:
    """A square of an image. Image pixels, but `side`."""

    row: int
    column: int
    reduction: int  # image pixels in a PAN pixel
    side: int  # PAN pixels


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownScene:
    """A pair with its truth, DN, and what it was made with."""

    name: str
    source: str  # the image's file
    arrays: Arrays  # gt, ms, pan
    facts: Facts
    bands: tuple[str, ...]  # names, where the image says what they are
    tile: Tile


@dataclass(frozen=True, kw_only=True, slots=True)
class Unusable:
    """An image that gives no scene, and why."""

    source: str
    reason: str


def make_known_scenes(root: Path, *, limit: int | None = None) -> Iterator[KnownScene | Unusable]:
    """The scenes of every image below `root`, by name; an image of no use with its reason.

    `limit`: images at most. Raises: SourceError without a folder or images, or if two images have
    one name, since a scene is known by it.
    """
    photos = list_folder(root)
    stems: dict[str, str] = {}
    for photo in photos:
        stem = Path(photo.key).stem
        if stem in stems:
            raise SourceError(
                f"two images are named {stem}: {stems[stem]} and {photo.key}; a scene is known by "
                "its image's name: rename one"
            )
        stems[stem] = photo.key
    for photo in photos[:limit]:
        yield from _scenes_of(photo)


def plan_tiles(height: int, width: int) -> list[Tile]:
    """The squares of an image that become scenes; none if it is too small."""
    short = min(height, width)
    reduction = next((r for r, least in LEAST_SIDE.items() if short // r >= least), 0)
    if not reduction:
        return []
    fine_h, fine_w = height // reduction, width // reduction
    count = max(1, min(fine_h, fine_w) // SIDE)
    side = min(fine_h, fine_w) // count // RATIO * RATIO
    rows, columns = fine_h // side, fine_w // side
    top, left = ((n - k * side) // 2 for n, k in ((fine_h, rows), (fine_w, columns)))
    places = [(i, j) for i in range(rows) for j in range(columns)]
    middle = ((rows - 1) / 2, (columns - 1) / 2)
    nearest = sorted(places, key=lambda p: (p[0] - middle[0]) ** 2 + (p[1] - middle[1]) ** 2)
    return [
        Tile(
            row=(top + i * side) * reduction,
            column=(left + j * side) * reduction,
            reduction=reduction,
            side=side,
        )
        for i, j in sorted(nearest[:MOST_TILES])
    ]


def _scenes_of(photo: Photo) -> Iterator[KnownScene | Unusable]:
    try:
        yield from _made(photo)
    except SourceError as error:
        yield Unusable(source=photo.key, reason=str(error))


def _made(photo: Photo) -> Iterator[KnownScene]:
    found = examine(photo, min_side=1, max_pixels=_MAX_PIXELS, max_bytes=_MAX_BYTES)
    verdict = found.verdict
    if not verdict.usable:
        raise SourceError(verdict.reason)
    tiles = plan_tiles(verdict.height, verdict.width)
    if not tiles:
        least = min(r * side for r, side in LEAST_SIDE.items())
        raise SourceError(f"{verdict.width}x{verdict.height} is under {least} pixels a side")
    file = Path(photo.key).name
    for number, tile in enumerate(tiles):
        key = f"{file}#{number}"
        bands = verdict.channels
        if bands == 3:
            bands = int(np.random.default_rng(list(key.encode())).choice(BANDS))
        recipe = known(tile=tile.side, reduction=tile.reduction)
        draw = sample_parameters(
            recipe,
            bands=bands,
            seed=SEED,
            key=key,
            height=verdict.height,
            width=verdict.width,
            channels=verdict.channels,
        )
        wide, fine = tile.side * tile.reduction, tile.side * OVERSAMPLE
        draw = replace(
            draw,
            crop=(tile.row, tile.column, wide, wide),
            resized=(fine, fine),
            corner=(0, 0),
            flip=(False, False),
            materials=_beyond_rgb(draw.materials),
        )
        arrays = _simulated(found, draw, recipe)
        ordered, facts, names = _in_order(arrays, draw, recipe, key, channels=verdict.channels)
        yield KnownScene(
            name=Path(file).stem if len(tiles) == 1 else f"{Path(file).stem}_{number}",
            source=file,
            arrays=ordered,
            facts=facts,
            bands=names,
            tile=tile,
        )


def _beyond_rgb(
    materials: tuple[np.ndarray, np.ndarray] | None,
) -> tuple[np.ndarray, np.ndarray] | None:
    """Materials tint the bands that the image lacks; its own colours stay what they are."""
    if materials is None:
        return None
    logits, tints = materials
    own = np.arange(len(tints)) < 3
    return logits, np.where(own[:, None], np.float32(1), tints)


def _simulated(
    found: EncodedImage | MultibandImage, draw: SampleParameters, recipe: Recipe
) -> Arrays:
    if isinstance(found, MultibandImage):
        crop = found.crop(draw.crop)
        job = Job(image=crop, draw=replace(draw, crop=(0, 0, *draw.crop[2:])))
    else:
        job = Job(image=found.data, draw=draw)
    try:
        (made,) = run([job], recipe, device="cpu")
    except DecodeError as error:
        raise SourceError(f"does not decode: {error}") from error
    return made


def _in_order(
    arrays: Arrays, draw: SampleParameters, recipe: Recipe, key: str, *, channels: int
) -> tuple[Arrays, Facts, tuple[str, ...]]:
    """Bands where a sensor of as many has its own, so that red, green and blue are shown so."""
    gt, ms, pan = arrays
    order: tuple[int, ...] = tuple(range(len(gt)))
    names: tuple[str, ...] = ()
    if channels == 3:
        order, names = (_ORDER_OF_8, _NAMES_OF_8) if len(gt) == 8 else (order, _NAMES_OF_4)
    elif channels == 4:
        order, names = _NAIP_ORDER, _NAMES_OF_4
    optics = draw.optics
    facts = Facts(
        sensor="draw",
        bits=draw.bits,
        ratio=recipe.ratio,
        mtf_ms=tuple(optics.mtf_ms[band] for band in order),
        mtf_pan=optics.mtf_pan,
        softness=tuple(optics.softness[band] for band in order),
        source=key,
        recipe=recipe.name,
        seed=SEED,
    )
    return (gt[list(order)], ms[list(order)], pan), facts, names
