"""What `fuse` prints and reports: its plan, a progress bar, the JSON of --json."""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from fusiontrain.errors import SceneError
from fusiontrain.fusion.fuse_scene import FusionJob
from fusiontrain.fusion.fusion_report import fusion_report
from fusiontrain.fusion.quality_sampler import QualitySampler
from fusiontrain.scenes.guided_pair import OpenPair
from fusiontrain.scenes.input_files import check_not_read
from fusiontrain.scenes.writer import Output
from shards.atomic_write import remove_leftovers, target_of, whole_file
from shards.console import print_error, print_result
from shards.progress_lines import ProgressLines, spoken_seconds

Callbacks = tuple[Callable[[int], None], Callable[[int], None]]


@contextmanager
def progress(job: FusionJob, *, quiet: bool) -> Iterator[Callbacks]:
    """Two callbacks: of a window of the first passes, with their number; of PAN pixels fused.

    A bar on a terminal; elsewhere a line every ten seconds.
    """
    if quiet:
        yield (lambda _: None, lambda _: None)
    elif sys.stderr.isatty():
        with _bar(job) as callbacks:
            yield callbacks
    else:
        yield _lines(job)


def say_progress(line: str) -> None:
    print_error("fusiontrain", line)


def _lines(job: FusionJob) -> Callbacks:
    plan, counts = job.plan, [0, 0, 0]  # windows of first passes, windows fused, pixels
    statistics = ProgressLines(say_progress, "reading the scene's statistics", "window")
    fusing = ProgressLines(say_progress, "fusing", "window")

    def measured(total: int) -> None:
        counts[0] += 1
        statistics(counts[0], max(total, counts[0]))
        fusing.begun = fusing.clock()  # the time left is that of fusing alone

    def fused(pixels: int) -> None:
        counts[1] += 1
        counts[2] += pixels
        fusing(counts[1], plan.windows, counts[2] / 1e6 / plan.megapixels)

    return measured, fused


@contextmanager
def _bar(job: FusionJob) -> Iterator[Callbacks]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}% {task.fields[speed]}"),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        total = round(job.plan.megapixels * 1e6)
        first_pass = bar.add_task("statistics", total=None, speed="")
        fusing = bar.add_task("fusing", total=total, speed="", start=False)
        started, done = time.monotonic(), 0

        def advance(pixels: int) -> None:
            nonlocal done
            done += pixels
            speed = done / 1e6 / max(time.monotonic() - started, 1e-6)
            bar.start_task(fusing)
            bar.update(fusing, completed=done, speed=f"{speed:.2f} Mpix/s")

        yield (lambda windows: bar.update(first_pass, total=windows, advance=1)), advance


def print_plan(job: FusionJob, output: Output, dtype: np.dtype) -> None:
    """The plan of --dry-run: windows, memory, time and disk."""
    plan = job.plan
    side = f"{plan.core} x {plan.across * plan.core}" if plan.across > 1 else f"{plan.core}"
    raw = plan.megapixels * job.pair.bands * dtype.itemsize / 1000
    while_writing = raw * (2.4 if output.format == "COG" else 1)
    print_result(
        f"plan: {job.fuser.name} on {job.fuser.device}: {plan.windows} windows of {side} "
        f"PAN pixels and {plan.halo} around them\n"
        f"memory: about {plan.memory:.1f} GiB\n"
        f"time: about {spoken_seconds(plan.seconds)} on a CPU\n"
        f"disk: up to {while_writing:.2f} GB while writing {output.format}, "
        f"{raw:.2f} GB of pixels {dtype}\n"
        "nothing is written (--dry-run)"
    )


def check_paths(out: Path, pair: OpenPair, others: Mapping[str, Path | None]) -> None:
    """`others`: parameter -> the file that it names.

    Raises: SceneError if a file to be written is an input, or two are one.
    """
    facts = (*pair.pan_file.facts, *pair.ms_file.facts)
    check_not_read(out, facts)
    written = {"": out}
    for name, path in others.items():
        if path is None:
            continue
        check_not_read(path, facts)
        for before, other in written.items():
            if target_of(path).resolve() == target_of(other).resolve() or (
                path.exists() and other.exists() and path.samefile(other)
            ):
                same = f"`{before}`" if before else "the output"
                raise SceneError(
                    f"`{name}` and {same} are one file, {other}; give another name to one"
                )
        written[name] = path


def write_report(
    path: Path, job: FusionJob, output: Path, sampler: QualitySampler, seconds: dict[str, float]
) -> None:
    """The JSON of --json."""
    report = fusion_report(job, output, sampler, seconds)
    remove_leftovers(path)
    with whole_file(path) as file:
        file.write(json.dumps(report, indent=2).encode() + b"\n")
