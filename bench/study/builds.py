"""Builds of photographs or real pairs that a row of the study trains on, made where missing."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from fusiontrain.scenes.discovery import find_scenes
from shards.errors import PanpriorError
from shards.manifest import NAME
from simgen.building.build import run_build
from simgen.config import Build, Recipe


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainedRow:
    """Training data of one row of a table, and the network."""

    label: str
    recipe: Callable[[], Recipe]
    folders: tuple[str, ...] = ()  # of --photos; (): all
    images: int = 0  # spread over them; 0: all
    model: str = "anyband"
    sensors: tuple[str, ...] = ()  # of real pairs to learn from, in place of photographs
    # Shares of other rows' builds, in place of a build of its own.
    shares: dict[str, float] = field(default_factory=dict)


def shards_of(args: argparse.Namespace, rows: Mapping[str, TrainedRow], name: str) -> list[str]:
    row = rows[name]
    if row.shares:
        return [f"{_built(args, rows[other])}:{share}" for other, share in row.shares.items()]
    return [str(_built(args, row))]


def _built(args: argparse.Namespace, row: TrainedRow) -> Path:
    """The build of a row, made if it is not there; the same number of samples for any images."""
    if row.sensors:
        return _built_of_pairs(args, row)
    if args.photos is None:
        raise PanpriorError("this part trains: give --photos, a folder of photographs")
    source, count = _photos(args, row)
    recipe = replace(row.recipe(), tile=args.tile)
    out = args.work / "shards" / f"{recipe.name}-{source.name}"
    if not (out / NAME).exists():
        whole = len(_listed(args.photos, ()))
        build = Build(
            dataset="folder",
            source=source,
            out=out,
            recipe=recipe,
            bands=(4,),
            draws=max(1, -(-whole // count)),
            limit=whole,
            shard_size=64,
        )
        run_build(build, workers=1)
    return out


def _built_of_pairs(args: argparse.Namespace, row: TrainedRow) -> Path:
    """Tiles no larger than the crops: an MS is a few crops wide."""
    out: Path = args.work / "shards" / row.recipe().name
    if (out / NAME).exists():
        return out
    folder: Path = args.work / "pairs"
    folder.mkdir(parents=True, exist_ok=True)
    for entry in find_scenes(args.scenes):
        if entry.pan is None or entry.load().sensor.name not in row.sensors:
            continue
        beside = entry.pan.with_name(f"{entry.name}.json")
        for path in (entry.pan, *entry.ms, *([beside] if beside.is_file() else [])):
            if not (folder / path.name).is_symlink():
                (folder / path.name).symlink_to(path.resolve())
    recipe = replace(row.recipe(), tile=min(args.tile, args.crop))
    run_build(
        Build(dataset="scene", source=folder, out=out, recipe=recipe, bands=(4,), shard_size=64),
        workers=1,
    )
    return out


def _photos(args: argparse.Namespace, row: TrainedRow) -> tuple[Path, int]:
    """A folder of links to the photographs of a row, and how many there are."""
    everything = _listed(args.photos, row.folders)
    count = min(row.images or len(everything), len(everything))
    if not count:
        raise PanpriorError(f"no photographs in {' '.join(row.folders)} below {args.photos}")
    if not row.folders and count == len(everything):
        return args.photos, count
    chosen = [everything[i * len(everything) // count] for i in range(count)]
    folder = args.work / "photos" / "-".join([*row.folders, str(count)])
    folder.mkdir(parents=True, exist_ok=True)
    for number, path in enumerate(chosen):
        link = folder / f"{number:05d}{path.suffix}"
        if not link.is_symlink():
            link.symlink_to(path.resolve())
    return folder, count


def _listed(photos: Path, folders: Sequence[str]) -> list[Path]:
    roots = [photos / name for name in folders] or [photos]
    endings = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp"}
    return sorted(p for root in roots for p in root.rglob("*") if p.suffix.lower() in endings)
