"""How a build tells what it does: a bar for people, JSON lines for batch jobs, or nothing."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

from shards.manifest import Rejected
from simgen.building.build import Progress

Log = Literal["bar", "json", "quiet"]
_NAMED = 20  # rejected images shown by name; the manifest has them all


class ProgressReporter(Protocol):
    def progress(self, progress: Progress) -> None: ...

    def rejected(self, rejected: Sequence[Rejected]) -> None: ...

    def event(self, name: str, text: str, **facts: Any) -> None:
        """Something that happened once: `text` for people, `facts` for programs."""


@contextmanager
def make_reporter(log: Log, title: str) -> Iterator[ProgressReporter]:
    if log == "json":
        yield JsonReporter()
    elif log == "quiet":
        yield QuietReporter()
    else:
        columns = (
            TextColumn("simgen {task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("shards, {task.fields[told]}"),
        )
        with Bar(*columns, console=Console(stderr=True)) as bar:
            yield BarReporter(bar, title)


class QuietReporter:
    """Errors alone are said, by the door."""

    def progress(self, progress: Progress) -> None: ...

    def rejected(self, rejected: Sequence[Rejected]) -> None: ...

    def event(self, name: str, text: str, **facts: Any) -> None: ...


class BarReporter:
    def __init__(self, bar: Bar, title: str) -> None:
        self._bar, self._task = bar, bar.add_task(title, total=None, told="")

    def progress(self, progress: Progress) -> None:
        told = f"{progress.samples} samples, {progress.rejected} rejected"
        if progress.samples_made:
            told += f", {progress.samples_per_second:.1f}/s, {progress.mb_per_second:.1f} MB/s"
        if progress.eta is not None and progress.shards_done < progress.shards_total:
            told += f", {_clock(progress.eta)} left"
        self._bar.update(
            self._task, total=progress.shards_total, completed=progress.shards_done, told=told
        )

    def rejected(self, rejected: Sequence[Rejected]) -> None:
        self._bar.stop()
        for one in rejected[:_NAMED]:
            print(f"simgen: rejected {one.source}: {one.reason}", file=sys.stderr)
        if len(rejected) > _NAMED:
            print(f"simgen: and {len(rejected) - _NAMED} more, all named in the manifest",
                  file=sys.stderr)  # fmt: skip

    def event(self, name: str, text: str, **facts: Any) -> None:  # noqa: ARG002 - programs' facts
        self._bar.stop()
        if name == "done":  # the door says the rest, on standard error
            print(f"simgen: {text}", flush=True)


class JsonReporter:
    """One object a line on standard output, each with `time` (UTC) and `event`."""

    def progress(self, progress: Progress) -> None:
        eta = progress.eta
        self._line(
            "progress",
            shards_done=progress.shards_done,
            shards_total=progress.shards_total,
            shards_reused=progress.reused,
            samples=progress.samples,
            bytes=progress.bytes,
            images_seen=progress.seen,
            images_rejected=progress.rejected,
            seconds=round(progress.seconds, 3),
            samples_per_second=round(progress.samples_per_second, 2),
            mb_per_second=round(progress.mb_per_second, 3),
            eta_seconds=None if eta is None else round(eta, 1),
        )

    def rejected(self, rejected: Sequence[Rejected]) -> None:
        for one in rejected:
            self._line("rejected", source=one.source, reason=one.reason)

    def event(self, name: str, text: str, **facts: Any) -> None:
        self._line(name, message=text, **facts)

    def _line(self, event: str, **facts: Any) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        print(json.dumps({"time": now, "event": event, **facts}), flush=True)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
