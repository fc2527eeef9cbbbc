"""Parts that the tasks of an array built, and the manifest of their union."""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from shards.atomic_write import whole_file
from shards.bounded_reading import read_json
from shards.errors import ContractError
from shards.index import WIDS_NAME, wids_index
from shards.manifest import MAX_MANIFEST, Manifest, Rejected, ShardRow, file_sha256
from simgen.building.array_task import TaskShare, runs
from simgen.building.folder_lock import claimed, differences
from simgen.config import digest
from simgen.errors import BuildError


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskPart:
    """`part-I-of-N.json`: one task's shards. Merged into a manifest, then of no more use."""

    share: TaskShare
    plan: dict[str, Any]
    licence: str
    planned: int  # shards of the whole build
    built: dict[int, ShardRow | None]  # by number; None where no image was usable
    rejected: tuple[Rejected, ...]

    def dump(self, folder: Path) -> Path:
        data = asdict(self)
        data["built"] = {f"{n:06d}": row for n, row in data["built"].items()}
        path = folder / f"{self.share.name}.json"
        with whole_file(path) as file:
            file.write((json.dumps(data, indent=1, sort_keys=True) + "\n").encode())
        return path

    @classmethod
    def load(cls, path: Path) -> "TaskPart":
        """Raises: BuildError if it is none, naming the file."""
        try:
            raw = read_json(path, MAX_MANIFEST)
            rows = {int(n): row and ShardRow(**row) for n, row in raw["built"].items()}
            return cls(
                share=TaskShare(**raw["share"]),
                plan=dict(raw["plan"]),
                licence=str(raw["licence"]),
                planned=int(raw["planned"]),
                built=rows,
                rejected=tuple(Rejected(**r) for r in raw["rejected"]),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError, ContractError) as error:
            raise BuildError(
                f"{path} is not a task's part: {error!r}; run that task again"
            ) from error


def manifest_of(
    plan: dict[str, Any],
    licence: str,
    rows: Iterable[ShardRow | None],
    rejected: Iterable[Rejected],
) -> Manifest:
    """The manifest of these shards of a plan; their order is kept."""
    recipe = plan["recipe"]
    return Manifest(
        recipe=recipe["name"],
        recipe_hash=digest(recipe),
        recipe_data=recipe,
        seed=plan["seed"],
        tile=recipe["tile"],
        ratio=recipe["ratio"],
        source=plan["dataset"],
        licence=licence,
        libraries=plan["libraries"],
        contract_version=plan["contract_version"],
        compression=plan["compression"],
        shards=tuple(row for row in rows if row is not None),
        rejected=tuple(sorted(set(rejected), key=lambda r: (r.source, r.reason))),
    )


def finish(out: Path, manifest: Manifest) -> Manifest:
    """The indexes, then the manifest: from here on the build exists."""
    if not manifest.shards:
        shown = "\n  ".join(f"{r.source}: {r.reason}" for r in manifest.rejected[:5])
        raise BuildError(f"no image gave a sample; first reasons:\n  {shown}")
    with whole_file(out / WIDS_NAME) as file:
        file.write(wids_index(f"{manifest.source}-{manifest.recipe}", manifest.shards))
    manifest.dump(out)
    return manifest


def merge(out: Path, sources: Sequence[Path] = ()) -> Manifest:
    """Write the manifest of the parts in `out`, or of those in `sources` (files or folders).

    Shards that lie elsewhere are linked into `out`, or copied where links cannot reach.
    Raises: BuildError naming gaps, overlaps and parts of other builds; ContractError if a
    shard is not what its part lists.
    """
    paths = [path for source in sources or [out] for path in _parts_in(source)]
    parts = {path: TaskPart.load(path) for path in paths}
    _refuse_mixtures(parts)
    origin = _origins(parts)
    first = parts[paths[0]]
    rows = {number: parts[path].built[number] for number, path in origin.items()}
    try:
        manifest = manifest_of(
            first.plan,
            first.licence,
            (rows[number] for number in sorted(rows)),
            (rejected for part in parts.values() for rejected in part.rejected),
        )
    except (KeyError, TypeError) as error:
        raise BuildError(
            f"{paths[0]}: its plan is not of this panprior (missing or strange: {error}); "
            "run the tasks again with this one"
        ) from error
    with claimed(out, first.plan):
        for number, path in origin.items():
            row = rows[number]
            if row is not None and path.parent.resolve() != out.resolve():
                _bring(path.parent, out, row)
        manifest.check(out)
        return finish(out, manifest)


def _parts_in(source: Path) -> list[Path]:
    if not source.exists():
        raise BuildError(f"nothing at {source.absolute()}; expected an array's folder, or a part")
    if not source.is_dir():
        return [source]
    found = sorted(source.glob("part-*-of-*.json"))
    if not found:
        raise BuildError(
            f"no part-I-of-N.json in {source.absolute()}; expected the folder of an array of "
            "`simgen build --task-index I --task-count N`, each task finished"
        )
    return found


def _refuse_mixtures(parts: dict[Path, TaskPart]) -> None:
    (first_path, first), *rest = parts.items()
    for path, part in rest:
        shown = differences(
            {**first.plan, "licence": first.licence, "shards planned": first.planned},
            {**part.plan, "licence": part.licence, "shards planned": part.planned},
        )
        if shown:
            raise BuildError(
                f"{first_path} and {path} are parts of different builds "
                f"({shown.replace(' there', ' in the first').replace(' asked', ' in the second')})"
                "\n  do: name the parts of one build only"
            )


def _origins(parts: dict[Path, TaskPart]) -> dict[int, Path]:
    """Which part holds each shard of the plan; each is in one, and all are there."""
    origin: dict[int, Path] = {}
    twice: list[str] = []
    for path, part in parts.items():
        for number in sorted(part.built):
            if number in origin:
                twice.append(f"shard {number} is in {origin[number]} and in {path}")
            origin.setdefault(number, path)
    if twice:
        raise BuildError(
            f"{len(twice)} shards are in two parts:\n  "
            + "\n  ".join(twice[:5])
            + "\n  do: name the parts of one array, or delete those of an earlier one"
        )
    planned = next(iter(parts.values())).planned
    strange = sorted(set(origin) - set(range(planned)))
    if strange:
        raise BuildError(f"{origin[strange[0]]} lists shard {strange[0]} of {planned} planned")
    missing = sorted(set(range(planned)) - set(origin))
    if missing:
        counts = {part.share.count for part in parts.values()}
        there = {(part.share.index, part.share.count) for part in parts.values()}
        absent = [f"{i} of {n}" for n in sorted(counts) for i in range(n) if (i, n) not in there]
        raise BuildError(
            f"{len(missing)} of {planned} shards are in no part: {_shown(missing)} "
            f"(tasks without a part: {', '.join(absent[:20]) or 'none'})\n"
            "  do: run those tasks again, then merge"
        )
    return origin


def _shown(numbers: list[int]) -> str:
    """3-5, 9 for 3 4 5 9."""
    found = runs(numbers)
    return ", ".join(found[:20]) + (", ..." if len(found) > 20 else "")


def _bring(folder: Path, out: Path, row: ShardRow) -> None:
    for name in (row.name, row.index_name, row.name.removesuffix("tar") + "json"):
        source, target = folder / name, out / name
        if not source.is_file():
            raise BuildError(f"{source} is listed in its part but is not there; run the task again")
        if target.exists():
            if file_sha256(target) == file_sha256(source):
                continue
            raise BuildError(f"{target} is there already and is not {source}; give an empty folder")
        try:
            os.link(source, target)
        except OSError:  # another file system, or one without links
            with source.open("rb") as data, whole_file(target) as file:
                while block := data.read(1 << 22):
                    file.write(block)
