"""Progress of a build: a bar for people, JSON lines for batch jobs, or nothing."""

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

from shards.console import print_result
from shards.manifest import Rejected
from simgen.building.build import Progress

logger = logging.getLogger(__name__)
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
            TextColumn("shards, {task.fields[state]}"),
        )
        with Bar(*columns, console=Console(stderr=True)) as bar:
            yield BarReporter(bar, title)


class QuietReporter:
    """Nothing: errors are printed by the command."""

    def progress(self, progress: Progress) -> None: ...

    def rejected(self, rejected: Sequence[Rejected]) -> None: ...

    def event(self, name: str, text: str, **facts: Any) -> None: ...


class BarReporter:
    def __init__(self, bar: Bar, title: str) -> None:
        self._bar, self._task = bar, bar.add_task(title, total=None, state="")

    def progress(self, progress: Progress) -> None:
        state = f"{progress.samples} samples, {progress.rejected} rejected"
        if progress.samples_made:
            state += f", {progress.samples_per_second:.1f}/s, {progress.mb_per_second:.1f} MB/s"
        if progress.eta is not None and progress.shards_done < progress.shards_total:
            state += f", {clock(progress.eta)} left"
        self._bar.update(
            self._task, total=progress.shards_total, completed=progress.shards_done, state=state
        )

    def rejected(self, rejected: Sequence[Rejected]) -> None:
        self._bar.stop()
        for one in rejected[:_NAMED]:
            logger.info("rejected %s: %s", one.source, one.reason)
        if len(rejected) > _NAMED:
            logger.info("and %d more, all named in the manifest", len(rejected) - _NAMED)

    def event(self, name: str, text: str, **facts: Any) -> None:  # noqa: ARG002 - programs' facts
        self._bar.stop()
        if name == "done":  # errors and stops are the command's to print
            print_result(f"simgen: {text}")
        elif name == "bands":
            logger.warning("%s", text)


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
            images_seen=progress.images,
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
        print_result(json.dumps({"time": now, "event": event, **facts}))


def clock(seconds: float) -> str:
    """H:MM:SS."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
