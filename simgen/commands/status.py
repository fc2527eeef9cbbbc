"""simgen status: how far the tasks of a build are."""

import json
from argparse import Namespace
from dataclasses import asdict
from pathlib import Path

from shards.command_line import PlainFlags
from shards.console import print_result
from simgen.building.progress import clock
from simgen.building.status import MAX_ARRAY_SIZE, BuildStatus, State, array_lines, read_status
from simgen.errors import ConfigError

STATES: tuple[State, ...] = ("done", "running", "stopped", "failed", "missing")
_SHOWN = 10  # failed tasks with their messages


def make_parser() -> PlainFlags:
    parser = PlainFlags(prog="simgen status", description=__doc__)
    parser.add_argument("out", type=Path, metavar="OUT", help="folder of the build")
    parser.add_argument(
        "--task-count", type=int, metavar="N", help="of the array (default: the newest record's)"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--array",
        action="store_true",
        help="print only the tasks to start again, as sbatch --array takes them; a second word "
        "is the --task-offset",
    )
    form.add_argument("--json", action="store_true", help="print everything as one JSON object")
    parser.add_argument(
        "--max-array-size",
        type=int,
        default=MAX_ARRAY_SIZE,
        metavar="N",
        help="Slurm's MaxArraySize, for --array",
    )
    return parser


def run(args: Namespace) -> int:
    for name in ("task_count", "max_array_size"):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise ConfigError(f"`{name}` must be at least 1; got {value}")
    status = read_status(args.out, task_count=args.task_count)
    again = array_lines(status.of("stopped", "failed", "missing"), args.max_array_size)
    if args.json:
        print_result(json.dumps(_data(status)))
    elif args.array:
        for tasks, offset in again:
            print_result(f"{tasks} {offset}" if offset else tasks)
    else:
        print_result("\n".join(_lines(args.out, status)))
    return 0


def _data(status: BuildStatus) -> dict[str, object]:
    left = status.seconds_left
    return {
        **{state: len(status.of(state)) for state in STATES},
        "merged": status.merged,
        "shards": status.shards,
        "shards_done": status.shards_done,
        "samples": status.samples,
        "bytes": status.bytes,
        "images_rejected": status.rejected,
        "samples_per_second": round(status.samples_per_second, 2),
        "seconds_left": None if left is None else round(left, 1),
        "tasks": [asdict(task) for task in status.tasks],
    }


def _lines(out: Path, status: BuildStatus) -> list[str]:
    counts = ", ".join(f"{len(status.of(s))} {s}" for s in STATES if status.of(s))
    made = (
        f"{status.samples} samples, {status.bytes / 1e9:.2f} GB, {status.rejected} images rejected"
    )
    lines = [
        f"simgen: {out}: {len(status.tasks)} tasks: {counts}",
        f"  {status.shards_done} of {status.shards} shards, {made}",
    ]
    if status.of("running"):
        left = status.seconds_left
        lines.append(
            f"  {status.samples_per_second:.1f} samples/s, "
            + ("time left not known yet" if left is None else f"{clock(left)} left")
        )
    failed = [task for task in status.tasks if task.message]
    lines += [f"  {task.state} {task.index}: {task.message}" for task in failed[:_SHOWN]]
    if len(failed) > _SHOWN:
        lines.append(f"  and {len(failed) - _SHOWN} more")
    if again := status.of("stopped", "failed", "missing"):
        shown = array_lines(again, max(again) + 1)[0][0]
        lines.append(
            f"  do: start again tasks {shown} of {len(status.tasks)} (those that do not wait in "
            f"a queue): docs/guides/cluster.md"
            if len(status.tasks) > 1
            else "  do: run the same command again; it resumes"
        )
    elif not status.merged and not status.of("running"):
        lines.append(f"  do: simgen merge {out}")
    return lines
