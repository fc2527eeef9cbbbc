"""How far a build is, by what lies in its folder: done, running, failed, stopped, missing tasks."""

import re
import time
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from shards.bounded_reading import read_json
from shards.manifest import NAME
from simgen.building.array_task import TaskShare, runs
from simgen.building.folder_lock import PLAN_NAME
from simgen.building.merge import TaskPart
from simgen.building.shard_writing import Sidecar
from simgen.building.task_record import TaskRecord, record_path
from simgen.config import digest
from simgen.errors import BuildError

State = Literal["done", "running", "stopped", "failed", "missing"]
MAX_ARRAY_SIZE = 1001  # Slurm's default
_TASK = re.compile(r"(?:\.task|part)-(\d{1,6})-of-(\d{1,6})\.json")


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskStatus:
    """`shards_made`, `samples_made` and `seconds` are of its last start."""

    index: int
    state: State
    shards: int
    shards_done: int
    message: str = ""
    shards_made: int = 0
    samples_made: int = 0
    seconds: float = 0.0

    @property
    def seconds_left(self) -> float | None:
        """None until a running task made a shard."""
        if self.state != "running" or not self.shards_made:
            return None
        return self.seconds / self.shards_made * (self.shards - self.shards_done)


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildStatus:
    """A build's tasks in order, and their sums."""

    tasks: tuple[TaskStatus, ...]
    merged: bool  # whether the manifest is there
    samples: int
    bytes: int
    rejected: int  # images

    def of(self, *states: State) -> list[int]:
        """The numbers of the tasks in these states."""
        return [task.index for task in self.tasks if task.state in states]

    @property
    def shards(self) -> int:
        """Planned."""
        return sum(task.shards for task in self.tasks)

    @property
    def shards_done(self) -> int:
        return sum(task.shards_done for task in self.tasks)

    @property
    def samples_per_second(self) -> float:
        """Of the running tasks together."""
        return sum(
            task.samples_made / task.seconds
            for task in self.tasks
            if task.state == "running" and task.seconds
        )

    @property
    def seconds_left(self) -> float | None:
        """Until the slowest running task ends, or they made the shards of all; None if unknown."""
        left = [t.seconds_left for t in self.tasks if t.seconds_left is not None]
        if not left:
            return None
        running = [t for t in self.tasks if t.seconds_left is not None and t.seconds]
        pace = sum(t.shards_made / t.seconds for t in running)
        rest = (self.shards - self.shards_done) / pace if pace else 0.0
        return max(*left, rest)


def read_status(out: Path, *, task_count: int | None = None) -> BuildStatus:
    """The state of each task. Tasks that wait in a queue count as missing.

    task_count: of the array; None: as the newest record in the folder says.
    Raises: BuildError if no build lies in `out`, or no task has left a record in it.
    """
    plan = _plan_digest(out)
    count = task_count or _newest_count(out)
    shares = [TaskShare(index=i, count=count) for i in range(count)]
    parts = {share.index: part for share in shares if (part := _part(out, share))}
    records = {s.index: r for s in shares if (r := TaskRecord.load(record_path(out, s)))}
    planned = [p.planned for p in parts.values()] + [r.planned for r in records.values()]
    if not planned:
        raise BuildError(f"no task of {count} has left a record in {out}; is `task_count` right?")
    sidecars = _committed(out, plan)
    whole = sorted(sidecars)
    merged = (out / NAME).is_file()
    tasks = []
    for share in shares:
        span = share.span(max(planned))
        tasks.append(
            _task(
                out,
                share,
                records.get(share.index),
                shards=span.stop - span.start,
                done=bisect_left(whole, span.stop) - bisect_left(whole, span.start),
                written=merged or share.index in parts,
            )
        )
    rows = [sidecar.row for sidecar in sidecars.values() if sidecar.row is not None]
    refused = {r.source for sidecar in sidecars.values() for r in sidecar.rejected}
    refused |= {r.source for part in parts.values() for r in part.rejected}
    return BuildStatus(
        tasks=tuple(tasks),
        merged=merged,
        samples=sum(row.samples for row in rows),
        bytes=sum(row.bytes for row in rows),
        rejected=len(refused),
    )


def array_lines(indices: Sequence[int], most: int = MAX_ARRAY_SIZE) -> list[tuple[str, int]]:
    """(expression, offset) for each array of Slurm: `3,7-9`, and what is added to its numbers.

    most: Slurm's MaxArraySize: numbers in an expression stay below it.
    """
    lines = []
    for offset in sorted({i - i % most for i in indices}):
        inside = [i - offset for i in sorted(indices) if offset <= i < offset + most]
        lines.append((",".join(runs(inside)), offset))
    return lines


def _plan_digest(out: Path) -> str:
    path = out / PLAN_NAME
    if not path.is_file():
        raise BuildError(
            f"no build in {out.absolute()}; expected the `out` of a `simgen build` that has begun"
        )
    try:
        return digest(dict(read_json(path)))
    except (OSError, ValueError, TypeError) as error:
        raise BuildError(f"{path} is damaged ({error})") from error


def _newest_count(out: Path) -> int:
    found = [
        (path.stat().st_mtime, int(match[2]))
        for path in out.iterdir()
        if (match := _TASK.fullmatch(path.name))
    ]
    if not found:
        raise BuildError(
            f"no task has left a record in {out}; an older panprior leaves none: give `task_count`"
        )
    return max(found)[1]


def _part(out: Path, share: TaskShare) -> TaskPart | None:
    path = out / f"{share.name}.json"
    return TaskPart.load(path) if path.is_file() else None


def _committed(out: Path, plan: str) -> dict[int, Sidecar]:
    """By number, of the shards of this plan whose files are there."""
    found = {}
    for path in out.glob("shard-*.json"):
        number, sidecar = path.stem.removeprefix("shard-"), Sidecar.load(path)
        if not number.isdecimal() or sidecar is None or sidecar.plan != plan:
            continue
        if sidecar.row is None or not any(sidecar.row.problems(out, hashes=False)):
            found[int(number)] = sidecar
    return found


def _task(
    out: Path,
    share: TaskShare,
    record: TaskRecord | None,
    *,
    shards: int,
    done: int,
    written: bool,  # the task's part, or the manifest of all
) -> TaskStatus:
    state: State = "missing"
    message = ""
    if record is not None and record.is_alive(record_path(out, share), time.time()):
        state = "running"
    elif done == shards and written:
        state = "done"
    elif record is not None and record.state in ("failed", "stopped"):
        state, message = record.state, record.message
    elif record is not None and record.state == "running":
        state, message = "failed", f"died on {record.host} without a word"
    return TaskStatus(
        index=share.index,
        state=state,
        shards=shards,
        shards_done=done,
        message=message,
        shards_made=record.shards_made if record else 0,
        samples_made=record.samples_made if record else 0,
        seconds=record.seconds if record else 0.0,
    )
