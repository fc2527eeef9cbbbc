"""Real pairs of PAN and MS GeoTIFFs: NAME_pan.tif, NAME_ms.tif and, if it is there, NAME.json.

The JSON may name `sensor`, `bands`, `bit_depth`, `kind` and `licence`; what it does not say is the
generic sensor, and the depth that the numbers need.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shards.bounded_reading import read_json
from shards.manifest import Rejected
from shards.sensors import GENERIC, match_sensor
from simgen.config import digest
from simgen.errors import SourceError
from simgen.sources.raster import Raster, bit_depth, inspect, read_numbers
from simgen.sources.source import (
    Photo,
    Source,
    SourceOptions,
    digest_of,
    licence_beside,
    name_key,
    printable,
)

_PAN, _MS = "_pan", "_ms"
_ENDINGS = (".tif", ".tiff", ".TIF", ".TIFF")
_MAX_JSON = 1_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """One pair, as its headers and its JSON state it."""

    name: str
    pan: tuple[Path, Raster]
    ms: tuple[Path, Raster]
    height: int  # MS pixels
    width: int
    bands: int
    ratio: int
    bits: int
    sensor: str  # a row of shards/sensors.py
    mtf_ms: tuple[float, ...]
    reduced: bool  # by Wald's protocol, before we got it


@dataclass(frozen=True, slots=True)
class SceneWindow:
    """A square of a scene, in MS pixels, with what lies around it."""

    scene: Scene
    row: int
    column: int
    size: int

    def read(self) -> bytes:
        """The window's own pixels, PAN then MS: they stand for its contents in digests."""
        ms, pan, _, _ = self.numbers(halo=0)
        return pan.tobytes() + ms.tobytes()

    def numbers(self, *, halo: int) -> tuple[np.ndarray, np.ndarray, int, int]:
        """MS (C, h, w) and PAN (1, h * ratio, w * ratio) digital numbers, float32, nodata NaN.

        `halo` MS pixels are read on each side as far as the scene goes; the window begins at the
        returned row and column of the MS.
        """
        scene, ratio = self.scene, self.scene.ratio
        top, left = max(0, self.row - halo), max(0, self.column - halo)
        height = min(scene.height, self.row + self.size + halo) - top
        width = min(scene.width, self.column + self.size + halo) - left
        ms = read_numbers(*scene.ms, (top, left, height, width))
        fine = (top * ratio, left * ratio, height * ratio, width * ratio)
        return ms, read_numbers(*scene.pan, fine), self.row - top, self.column - left


def open_scene(options: SourceOptions) -> Source:
    """Every pair below the root, cut into windows; pairs that do not fit are named as rejected.

    A window is the truth of a sample, so it is `tile` MS pixels a side.
    """
    root = options.only_root("scene")
    if not root.is_dir():
        raise SourceError(
            f"no folder at {root.absolute()}\n  do: point `root` at NAME_pan.tif, NAME_ms.tif"
        )
    photos: list[Photo] = []
    bands: list[int] = []
    licences: set[str] = set()
    rejected: list[Rejected] = []
    stated: list[str] = []  # facts that change samples whose pixels stay
    for name, pan, ms in _pairs(root):
        try:
            facts = _facts(pan.with_name(f"{name.rpartition('/')[2]}.json"))
            scene = _scene(name, pan, ms, facts, options)
        except SourceError as error:
            rejected.append(Rejected(source=name, reason=str(error)))
            continue
        licences.add(_text(facts, "licence") or licence_beside(root))
        stated.append(f"{scene.sensor} {scene.bits} {scene.mtf_ms}")
        windows = list(_windows(scene, options.tile))
        photos += windows
        bands += [scene.bands] * len(windows)
    if not photos:
        reasons = "; ".join(f"{r.source}: {r.reason}" for r in rejected[:3])
        raise SourceError(
            f"no pair of NAME_pan.tif and NAME_ms.tif below {root.absolute()} gives a tile"
            + (f" ({reasons})" if reasons else "")
        )
    return Source(
        name="scene",
        licence="; ".join(sorted(licences)),
        photos=tuple(photos),
        digest=digest([*stated, digest_of(photos)]),
        rejected=tuple(rejected),
        bands=tuple(bands),
    )


def _pairs(root: Path) -> Iterator[tuple[str, Path, Path]]:
    pans = (p for p in root.rglob(f"*{_PAN}.*") if p.suffix in _ENDINGS and p.is_file())
    for pan in sorted(pans, key=lambda p: p.relative_to(root).as_posix()):
        stem = pan.stem.removesuffix(_PAN)
        found = [pan.with_name(f"{stem}{_MS}{ending}") for ending in (pan.suffix, *_ENDINGS)]
        name = name_key(pan.relative_to(root).with_name(stem).as_posix())
        yield name, pan, next((path for path in found if path.is_file()), found[0])


def _windows(scene: Scene, size: int) -> Iterator[Photo]:
    for row in range(0, scene.height - size + 1, size):
        for column in range(0, scene.width - size + 1, size):
            yield Photo(
                key=f"{scene.name}/r{row}c{column}",
                size=2 * size * size * (scene.bands + scene.ratio**2),
                place=SceneWindow(scene, row, column, size),
            )


def _scene(name: str, pan: Path, ms: Path, facts: dict[str, Any], options: SourceOptions) -> Scene:
    """Raises: SourceError saying why the pair gives no sample of this build."""
    if not ms.is_file():
        raise SourceError(f"no {ms.name} beside it")
    fine, coarse = inspect(pan), inspect(ms)
    C, ratio = len(coarse.bands), fine.height // max(1, coarse.height)
    if len(fine.bands) != 1:
        raise SourceError(f"{pan.name} has {len(fine.bands)} bands; expected 1")
    if ratio < 2 or (fine.height, fine.width) != (ratio * coarse.height, ratio * coarse.width):
        raise SourceError(
            f"PAN {fine.width}x{fine.height} is no multiple of MS {coarse.width}x{coarse.height}; "
            "cut both to one extent"
        )
    if {fine.dtype, coarse.dtype} - {"uint8", "uint16"}:
        raise SourceError(f"holds {fine.dtype} and {coarse.dtype}; expected DN, uint8 or uint16")
    if ratio != options.ratio:
        raise SourceError(f"ratio {ratio}; this build makes ratio {options.ratio}")
    if C not in options.bands:
        raise SourceError(f"{C} bands; this build has --bands {' '.join(map(str, options.bands))}")
    if min(coarse.height, coarse.width) < options.tile:
        raise SourceError(
            f"MS of {coarse.width}x{coarse.height} pixels gives no tile of {options.tile}; "
            "make tiles smaller with --tile"
        )
    row = match_sensor(_text(facts, "sensor")) or GENERIC
    names = facts.get("bands")
    if isinstance(names, list) and all(isinstance(band, str) for band in names):
        row = row.only(names)
    stated = facts.get("bit_depth")
    needed = max(bit_depth(pan, fine), bit_depth(ms, coarse))
    return Scene(
        name=name,
        pan=(pan, fine),
        ms=(ms, coarse),
        height=coarse.height,
        width=coarse.width,
        bands=C,
        ratio=ratio,
        bits=stated if type(stated) is int and needed <= stated <= 16 else needed,
        sensor=row.name,
        mtf_ms=row.gains(C),
        reduced=_text(facts, "kind").startswith("reduced"),
    )


def _facts(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        facts = read_json(path, _MAX_JSON)
    except (OSError, ValueError) as error:
        raise SourceError(f"{path.name} does not read: {error}") from error
    if not isinstance(facts, dict):
        raise SourceError(f"{path.name} holds no facts by name")
    return facts


def _text(facts: dict[str, Any], key: str) -> str:
    value = facts.get(key)
    return printable(value) if isinstance(value, str) else ""
