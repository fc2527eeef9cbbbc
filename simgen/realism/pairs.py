"""What is compared: PAN and MS of simulated samples, and tiles of real pairs of the same size."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from shards.errors import ContractError
from shards.manifest import Manifest, Rejected
from shards.schema import decode_sample
from shards.tar import read_samples
from simgen.errors import ConfigError, SourceError
from simgen.sources import open_source

if TYPE_CHECKING:
    from simgen.sources.scene import SceneWindow

REAL = "real"  # the scenes' own name beside the builds'


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """One MS and its PAN as delivered, in shares of full scale."""

    name: str
    group: str  # the scene that a tile is of; a sample is its own
    ms: np.ndarray  # (C, h, w) float32
    pan: np.ndarray  # (h * ratio, w * ratio) float32
    bits: int
    ratio: int

    @property
    def bands(self) -> int:
        return int(self.ms.shape[0])


def named_build(text: str) -> tuple[str, Path]:
    """Name and folder of NAME=FOLDER, or of FOLDER, named as its last part."""
    name, equals, path = text.partition("=")
    folder = Path(path if equals else text)
    return (name if equals else folder.resolve().name), folder


def open_builds(given: list[str]) -> dict[str, tuple[Path, Manifest]]:
    """NAME=FOLDER or FOLDER (named as its last part) -> folder and manifest, in the order given.

    Raises: ConfigError if names repeat or one is the scenes', or builds are of different ratio
    or tile.
    """
    builds: dict[str, tuple[Path, Manifest]] = {}
    for text in given:
        name, folder = named_build(text)
        if name in ("", REAL, *builds):
            raise ConfigError(f"every build needs a name of its own; got {name!r} in {text!r}")
        manifest = Manifest.load(folder)
        manifest.check(folder, hashes=False)
        if not manifest.samples:
            raise ContractError(f"no samples in {folder}; build some first: simgen build")
        builds[name] = (folder, manifest)
    sizes = {(m.ratio, m.tile) for _, m in builds.values()}
    if len(sizes) > 1:
        raise ConfigError(
            "builds that are compared must have one ratio and tile; got "
            + "; ".join(f"{n}: ratio {m.ratio}, tile {m.tile}" for n, (_, m) in builds.items())
        )
    return builds


def read_build(folder: Path, manifest: Manifest, limit: int | None) -> Iterator[Pair]:
    """Samples, at most `limit`, taken evenly from all shards."""
    count = manifest.samples if limit is None else limit
    number = len(manifest.shards)
    for i, row in enumerate(manifest.shards):
        share = count * (i + 1) // number - count * i // number
        for key, members in islice(read_samples(folder / row.name), share):
            _, ms, pan, facts = decode_sample(members, largest=manifest.largest_array(row))
            yield _pair(key, key, ms, pan, facts.bits, facts.ratio)


def read_scenes(
    root: Path, *, tile: int, ratio: int, bands: tuple[int, ...]
) -> tuple[list[Pair], list[Rejected]]:
    """Tiles of `tile` MS pixels of every full-resolution pair below `root`, and what did not fit.

    Pairs reduced by Wald's protocol are no measurement of a sensor's blur, and tiles with nodata
    none of its radiometry: both are left out.
    Raises: SourceError if nothing is left.
    """
    source = open_source("scene", root, tile=tile, ratio=ratio, bands=bands)
    left_out = list(source.rejected)
    pairs: list[Pair] = []
    seen: dict[str, str] = {}  # scenes, and why they gave nothing
    for photo in source.photos:
        place = cast("SceneWindow", photo.place)
        scene = place.scene
        if scene.reduced:
            seen[scene.name] = "is of reduced resolution; only pairs as delivered count"
            continue
        seen.setdefault(scene.name, "has nodata in every tile")
        ms, pan, _, _ = place.numbers(halo=0)
        if np.isfinite(ms).all() and np.isfinite(pan).all():
            seen[scene.name] = ""
            pairs.append(_pair(photo.key, scene.name, ms, pan, scene.bits, scene.ratio))
    left_out += [Rejected(source=name, reason=why) for name, why in seen.items() if why]
    if not pairs:
        reasons = "; ".join(f"{r.source} {r.reason}" for r in left_out[:3])
        raise SourceError(f"no scene below {root} to compare with ({reasons})")
    return pairs, left_out


def _pair(name: str, group: str, ms: np.ndarray, pan: np.ndarray, bits: int, ratio: int) -> Pair:
    top = np.float32(2**bits - 1)
    return Pair(
        name=name,
        group=group,
        ms=ms.astype(np.float32) / top,
        pan=pan[0].astype(np.float32) / top,
        bits=bits,
        ratio=ratio,
    )
