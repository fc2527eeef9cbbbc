"""What a task of a build has done so far, for `simgen status`: `.task-I-of-N.json`."""

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from shards.atomic_write import whole_file
from shards.bounded_reading import read_json
from shards.console import one_line
from shards.errors import PanpriorError
from shards.signals import Stopped
from simgen.building.array_task import TaskShare

BEAT = 15  # seconds between signs of life
SILENT = 120  # seconds without one, after which a task counts as dead

State = Literal["running", "stopped", "failed", "done"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskRecord:
    """One call of `simgen build`: as a task, or whole as task 0 of 1."""

    share: TaskShare
    planned: int  # shards of the whole build
    state: State
    message: str  # why it failed
    shards_made: int  # by this call, in these seconds
    samples_made: int
    seconds: float
    host: str
    process: int

    @classmethod
    def load(cls, path: Path) -> "TaskRecord | None":
        """None if damaged: it is only a report."""
        try:
            raw = read_json(path)
            raw["share"] = TaskShare(**raw["share"])
            return cls(**raw)
        except (OSError, ValueError, KeyError, TypeError, PanpriorError):
            return None

    def is_alive(self, path: Path, now: float) -> bool:
        """Whether the process runs; on another host, whether its file changed of late."""
        if self.state != "running":
            return False
        if self.host == socket.gethostname():
            return _is_process(self.process)
        with suppress(OSError):
            return now - path.stat().st_mtime < SILENT
        return False


def record_path(out: Path, share: TaskShare) -> Path:
    return out / f".task-{share.index}-of-{share.count}.json"


class Recorder:
    """Writes a record. A disk that takes none does not end the build: it will by its shards."""

    def __init__(self, out: Path, share: TaskShare, planned: int) -> None:
        self._path = record_path(out, share)
        self._record = TaskRecord(
            share=share,
            planned=planned,
            state="running",
            message="",
            shards_made=0,
            samples_made=0,
            seconds=0.0,
            host=socket.gethostname(),
            process=os.getpid(),
        )

    def update(self, **changes: Any) -> None:
        self._record = replace(self._record, **changes)
        with suppress(OSError, PanpriorError), whole_file(self._path) as file:
            file.write((json.dumps(asdict(self._record), sort_keys=True) + "\n").encode())

    def beat(self) -> None:
        with suppress(OSError):
            os.utime(self._path)


@contextmanager
def recorded(out: Path, share: TaskShare, planned: int) -> Iterator[Recorder]:
    """A record that says how the block goes, and how it ended."""
    recorder = Recorder(out, share, planned)
    recorder.update()
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(BEAT):
            recorder.beat()

    beating = threading.Thread(target=beat, daemon=True)
    beating.start()
    try:
        yield recorder
    except Stopped as stopped:
        recorder.update(state="stopped", message=f"stopped by {stopped.name}")
        raise
    except BaseException as error:
        recorder.update(state="failed", message=one_line(error) or type(error).__name__)
        raise
    else:
        recorder.update(state="done")
    finally:
        ended.set()
        beating.join()


def _is_process(number: int) -> bool:
    try:
        os.kill(number, 0)
    except (ProcessLookupError, OverflowError, ValueError):
        return False
    except OSError:  # another user's
        return True
    return True
