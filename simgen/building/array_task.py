"""Shards of one process: all of a plan, or the share of one task of a cluster's array."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from simgen.errors import ConfigError

T = TypeVar("T")
# Which task of its array a process is: Slurm's, Kubernetes', AWS Batch's.
_NUMBERS = ("SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX", "AWS_BATCH_JOB_ARRAY_INDEX")


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

    def of(self, tasks: list[T]) -> list[T]:
        """A run of neighbours: sources that read by blocks are then opened by few tasks."""
        return tasks[self.span(len(tasks))]

    def span(self, total: int) -> slice:
        """Which of so many shards are this task's."""
        return slice(self.index * total // self.count, (self.index + 1) * total // self.count)


def runs(numbers: Sequence[int]) -> list[str]:
    """3-5 and 9 of 3 4 5 9, as Slurm writes them."""
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return [f"{first}-{last}" if first != last else f"{first}" for first, last in found]


def find_share(
    index: int | None, count: int | None, environ: Mapping[str, str], *, offset: int = 0
) -> TaskShare:
    """From the command line, else from the array that started this process, else everything.

    With a count alone the array's own number is the index, plus `offset`: arrays with gaps, and
    those of Kubernetes and AWS Batch, do not say how many there are.
    Raises: ConfigError for half a share, or an array that does not say how many tasks it has.
    """
    if index is not None:
        if count is None or offset:
            raise ConfigError(
                "`task_index` and `task_count` go together, without `task_offset`; give both or "
                "neither"
            )
        return TaskShare(index=index, count=count)
    name = next((name for name in _NUMBERS if name in environ), None)
    if name is None:
        if count is not None or offset:
            raise ConfigError(
                f"`task_count` without `task_index` needs an array's number ({', '.join(_NUMBERS)})"
            )
        return TaskShare()
    number = _number(environ, name)
    if count is not None:
        return TaskShare(index=number + offset, count=count)
    least, last, step, total = (
        _number(environ, f"SLURM_ARRAY_TASK_{end}", default)
        for end, default in (("MIN", 0), ("MAX", -1), ("STEP", 1), ("COUNT", 0))
    )
    step = max(step, 1)
    if offset or total < 1 or (last >= 0 and (last - least) // step + 1 != total):
        raise ConfigError(f"{name} is {number}, but of how many tasks? Give `task_count`")
    return TaskShare(index=(number - least) // step, count=total)


def _number(environ: Mapping[str, str], name: str, default: int = 0) -> int:
    try:
        return int(environ.get(name) or default)
    except ValueError as error:
        raise ConfigError(f"{name} is no number ({error})") from error
