"""Ranges of cases in processes of their own, so that a crash or a hang is noticed and named."""

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.paths import ROOT

LIMIT = 120  # seconds for a case
STARTING = 600  # to import everything and make the seeds: ten on a free core, minutes on a busy one
_AT_ONCE = 2500  # cases of one process


@dataclass
class Tally:
    """What came of the cases, by kind."""

    accepted: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    rejected: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    failed: list[dict[str, Any]] = field(default_factory=list)

    def add(self, result: dict[str, Any]) -> None:
        if result["faults"]:
            self.failed.append(result)
        elif result["code"] == 0:
            self.accepted[result["kind"]] += 1
        else:
            self.rejected[result["kind"]] += 1

    def __str__(self) -> str:
        """A row for each kind, and the sums."""
        failed: dict[str, int] = defaultdict(int)
        for result in self.failed:
            failed[result["kind"]] += 1
        kinds = sorted({*self.accepted, *self.rejected, *failed})
        rows = [(k, self.accepted[k], self.rejected[k], failed[k]) for k in kinds]
        rows.append(("all", *(sum(column) for column in list(zip(*rows, strict=True))[1:])))
        lines = [f"{'kind':16} accepted  rejected in a line  failed"]
        return "\n".join([*lines, *(f"{k:16} {a:8}  {r:18}  {f:6}" for k, a, r, f in rows)])


def run_cases(
    first: int, last: int, *, tell: Callable[[dict[str, Any]], None] = lambda _: None
) -> Tally:
    """The cases `first` to `last` - 1. `tell` gets what came of each."""
    tally, at = Tally(), first
    while at < last:
        with tempfile.TemporaryDirectory(prefix="panprior-fuzz-") as folder:
            for result in _from(at, min(last, at + _AT_ONCE), Path(folder)):
                tally.add(result)
                tell(result)
                at = result["number"] + 1
    return tally


def _from(first: int, last: int, folder: Path) -> Iterator[dict[str, Any]]:
    """Results up to the first case that its process does not outlive, that case's included."""
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.fuzz.worker", str(first), str(last), str(folder)]
    errors = (folder / "errors.txt").open("wb")
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=errors)
    begun, ended = None, first
    try:
        for line in _lines(process):
            if "begins" in line:
                begun = line["begins"]
            else:
                ended = line["number"] + 1
                yield line
    finally:
        process.kill()
        code = process.wait()
        if process.stdout is not None:
            process.stdout.close()  # else a warning, which pytest makes a failure
        errors.close()
    if ended == last:
        return
    if begun is None:
        said = (folder / "errors.txt").read_text(errors="replace")[-3000:]
        raise RuntimeError(f"no case began: {_name(code)}, or over {STARTING} s\n{said}")
    stack = (folder / "stack.txt").read_text(errors="replace")
    why = f"hang: over {LIMIT} s" if code == -signal.SIGKILL else f"crash: {_name(code)}"
    yield {
        "number": begun,
        "kind": "?",
        "code": code,
        "faults": [f"{why}\n{stack}"],
        "what": "",
        "argv": [],
    }


def _lines(process: subprocess.Popen[bytes]) -> Iterator[dict[str, Any]]:
    """Lines of JSON until the process ends or is silent for too long."""
    assert process.stdout is not None
    rest, limit = b"", STARTING
    while select.select([process.stdout], [], [], limit)[0]:
        limit = LIMIT
        data = os.read(process.stdout.fileno(), 1 << 16)
        if not data:
            process.wait()
            return
        *whole, rest = (rest + data).split(b"\n")
        yield from (json.loads(line) for line in whole if line.startswith(b"{"))


def _name(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def show_case(number: int, keep: Path) -> dict[str, Any]:
    """Run one case in this process; its files stay in `keep`."""
    from tests.fuzz.worker import Worker  # imports everything

    shutil.rmtree(keep, ignore_errors=True)
    keep.mkdir(parents=True)
    return Worker(keep.resolve()).run(number)
