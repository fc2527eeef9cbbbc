"""Write one shard to disk: temporary name, fsync, rename; DALI index; sidecar last.

The sidecar is the commit mark. A tar without one, or with one that disagrees, is rebuilt.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from shards.atomic_write import whole_file
from shards.bounded_reading import read_json
from shards.errors import ContractError
from shards.index import dali_index
from shards.manifest import Rejected, ShardRow
from shards.tar import write_samples
from simgen.building.plan import Task


@dataclass(frozen=True, kw_only=True, slots=True)
class Sidecar:
    """Result of one planned shard. `row` is None where no image was usable."""

    plan: str  # digest of the build's plan
    row: ShardRow | None
    rejected: tuple[Rejected, ...]

    def to_json(self) -> bytes:
        return (json.dumps(asdict(self), indent=1, sort_keys=True) + "\n").encode()

    @classmethod
    def load(cls, path: Path) -> "Sidecar | None":
        """None if absent or damaged: the shard is then simply built again."""
        try:
            raw = read_json(path)
            row = None if raw["row"] is None else ShardRow(**raw["row"])
            return cls(
                plan=raw["plan"], row=row, rejected=tuple(Rejected(**r) for r in raw["rejected"])
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError, ContractError):
            return None


def sidecar_path(folder: Path, stem: str) -> Path:
    return folder / f"{stem}.json"


class _Hashed:
    """A file and the sha256 of what went into it: a tar need not be read again for it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._sha256, self.size = file, hashlib.sha256(), 0

    def write(self, data: bytes, /) -> int:
        self._sha256.update(data)
        self.size += len(data)
        return self._file.write(data)

    @property
    def hexdigest(self) -> str:
        return self._sha256.hexdigest()


def write_shard(
    task: Task,
    samples: Iterator[tuple[str, dict[str, bytes]]],
    *,
    reasons: Mapping[str, str],
) -> Sidecar:
    """Commit a shard of (key, members) samples; an empty one leaves a sidecar only.

    `reasons`, by image, is read once the samples are at an end: making them fills it.
    """
    folder, stem, row = task.build.out, task.stem, None
    first = next(samples, None)
    if first is not None:
        tar = folder / f"{stem}.tar"
        with whole_file(tar) as file:
            hashed = _Hashed(file)
            places = write_samples(hashed, chain([first], samples))
        index = dali_index(places)
        with whole_file(folder / f"{stem}.idx") as file:
            file.write(index)
        row = ShardRow(
            name=tar.name,
            samples=len(places),
            bytes=hashed.size,
            sha256=hashed.hexdigest,
            index_sha256=hashlib.sha256(index).hexdigest(),
            bands=task.bands,
        )
    rejected = tuple(Rejected(source=key, reason=reasons[key]) for key in sorted(reasons))
    sidecar = Sidecar(plan=task.plan, row=row, rejected=rejected)
    with whole_file(sidecar_path(folder, stem)) as file:
        file.write(sidecar.to_json())
    return sidecar


def committed(task: Task) -> Sidecar | None:
    """The sidecar of a shard that is whole and belongs to this plan, else None."""
    folder = task.build.out
    sidecar = Sidecar.load(sidecar_path(folder, task.stem))
    if sidecar is None or sidecar.plan != task.plan:
        return None
    row = sidecar.row
    if row is not None and (row.name != f"{task.stem}.tar" or any(row.problems(folder))):
        return None
    return sidecar
