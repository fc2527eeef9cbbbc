"""One shard onto disk: temporary name, fsync, rename; DALI index; sidecar last.

The sidecar is the commit mark. A tar without one, or with one that disagrees, is rebuilt.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from shards.commit import whole_file
from shards.errors import ContractError
from shards.index import dali_index
from shards.manifest import Rejected, ShardRow, file_sha256
from shards.tar import write_samples
from simgen.plan import Task


@dataclass(frozen=True, kw_only=True, slots=True)
class Sidecar:
    """What became of one planned shard. `row` is None where no image was usable."""

    plan: str  # digest of the build's plan
    row: ShardRow | None
    rejected: tuple[Rejected, ...]

    def to_json(self) -> bytes:
        return (json.dumps(asdict(self), indent=1, sort_keys=True) + "\n").encode()

    @classmethod
    def load(cls, path: Path) -> "Sidecar | None":
        """None if absent or damaged: the shard is then simply built again."""
        try:
            raw = json.loads(path.read_bytes())
            row = None if raw["row"] is None else ShardRow(**raw["row"])
            return cls(
                plan=raw["plan"], row=row, rejected=tuple(Rejected(**r) for r in raw["rejected"])
            )
        except (OSError, ValueError, KeyError, TypeError, ContractError):
            return None


def sidecar_path(folder: Path, stem: str) -> Path:
    return folder / f"{stem}.json"


def write_shard(
    task: Task,
    samples: Sequence[tuple[str, dict[str, bytes]]],
    *,
    rejected: tuple[Rejected, ...],
) -> Sidecar:
    """Commit a shard of (key, members) samples; an empty one leaves a sidecar only."""
    folder, stem, row = task.build.out, task.stem, None
    if samples:
        tar = folder / f"{stem}.tar"
        with whole_file(tar) as file:
            places = write_samples(file, samples)
        index = dali_index(places)
        with whole_file(folder / f"{stem}.idx") as file:
            file.write(index)
        row = ShardRow(
            name=tar.name,
            samples=len(samples),
            bytes=tar.stat().st_size,
            sha256=file_sha256(tar),
            index_sha256=hashlib.sha256(index).hexdigest(),
            bands=task.bands,
        )
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
