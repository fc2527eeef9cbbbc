"""Shards of one process: all of a plan, or the share of one task of a cluster's array."""

from collections.abc import Mapping
from dataclasses import dataclass

from simgen.building.plan import Task
from simgen.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskShare:
    """Task `index` of `count`; tasks run independently."""

    index: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise ConfigError(
                f"a task's index lies in 0..{self.count - 1} for `task_count={self.count}`; "
                f"got `task_index={self.index}`"
            )

    @property
    def is_whole(self) -> bool:
        return self.count == 1

    @property
    def name(self) -> str:
        return f"part-{self.index}-of-{self.count}"

    def of(self, tasks: list[Task]) -> list[Task]:
        """A run of neighbours: sources that read by blocks are then opened by few tasks."""
        first, end = (i * len(tasks) // self.count for i in (self.index, self.index + 1))
        return tasks[first:end]


def find_share(index: int | None, count: int | None, environ: Mapping[str, str]) -> TaskShare:
    """From the command line, else from Slurm's array, else everything."""
    if (index is None) != (count is None):
        raise ConfigError("`task_index` and `task_count` go together; give both or neither")
    if index is not None and count is not None:
        return TaskShare(index=index, count=count)
    if "SLURM_ARRAY_TASK_COUNT" not in environ:
        return TaskShare()
    names = ("ID", "MIN", "STEP", "COUNT")
    try:
        ident, least, step, total = (
            int(environ.get(f"SLURM_ARRAY_TASK_{name}") or "1") for name in names
        )
    except ValueError as error:
        raise ConfigError(f"SLURM_ARRAY_TASK_* are no numbers ({error})") from error
    return TaskShare(index=(ident - least) // max(step, 1), count=total)
