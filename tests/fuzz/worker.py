"""Cases one after the other, in this process: `python -m tests.fuzz.worker FIRST LAST FOLDER`.

Writes a line of JSON before each case and one after it. A case that kills this process is the one
without its second line.
"""

import contextlib
import faulthandler
import json
import os
import re
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import rasterio

from fusiontrain.cli import main as fusiontrain
from fusiontrain.data.shard_file import forget_open
from shards.__main__ import main as shards
from simgen.cli import main as simgen
from tests.fuzz.kinds import KINDS, Case, kind_of
from tests.fuzz.seeds import make_seeds
from tests.fuzz.watch import AuditHook, Canaries, Host
from tests.support.geotiffs import write_geotiff
from tests.support.peak_memory import peak_gibibytes

PROGRAMS = {"fusiontrain": fusiontrain, "simgen": simgen, "shards": shards}
_MOST_MEMORY = 1.4  # GiB that one case may add
# How lines on standard error begin: of the programs, continued, and of pretrain's progress.
_OURS = ("fusiontrain: ", "fusiontrain ", "simgen: ", "simgen ", "shards: ", "  ", "pretrain ")
# and of what benchmark shows; of what libraries of GDAL's and DALI's print themselves, to no avail.
_SHOWN = re.compile(
    r"reading scenes |scoring |a[:,] |decoder: \[|Error: Key |Corrupt JPEG data|"
    r"Warning: unknown JFIF"
)
# How DALI's image decoder begins its own lines: its log level goes no lower than errors.
# Of an image that it does not decode it prints a fixed text; Pillow's pixels are used instead.
_DECODER = re.compile(r"^\x1b\[0;3\dm\[(ERROR|WARNING)\] \x1b\[0m(?=\[\w+\] )", re.MULTILINE)
_LEAVES = (
    "build.json",
    ".lock",
    "shard-",
    "wids.json",
    "states",
    "run.json",
    "config.yaml",
    "log.csv",
    "part-",
    "best.",
)


class Worker:
    """Seeds, watches and the folders of a case: `given`, `out` and `canary` beside each other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "temporary").mkdir()
        tempfile.tempdir = str(folder / "temporary")
        self.seeds = make_seeds(folder / "seeds")
        canary = folder / "canary"
        canary.mkdir()
        (canary / "words.txt").write_text("secret\n" * 200)
        write_geotiff(canary / "raster.tif", np.ones((1, 16, 16)), dtype="uint8")
        (canary / "named.vrt").write_text("<VRTDataset/>")
        self.host = Host()
        self.hook, self.canaries = AuditHook(folder), Canaries(canary)
        words = canary / "words.txt"
        url = f"http://{self.host.name}"
        wms = f"<GDAL_WMS><Service name='TMS'><ServerUrl>{url}/</ServerUrl></Service></GDAL_WMS>"
        self.names = (
            str(words), "../canary/words.txt", f"/vsicurl/{url}/x.tif", f"{url}/x.tif",
            f"WMS:{url}/?LAYERS=a", "/etc/passwd", "/dev/zero", f"vrt://{words}",
            f"/vsizip/{words}", "../given/ms.tif", f"GTIFF_DIR:1:{canary / 'raster.tif'}", wms,
        )  # fmt: skip

    def make(self, number: int, *, damaging: bool = True) -> tuple[str, Case]:
        """The case of that number, its files written."""
        for name in ("given", "out"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
            (self.folder / name).mkdir()
        kind = kind_of(number)
        case = Case(
            given=self.folder / "given",
            out=self.folder / "out",
            names=self.names,
            damaging=damaging,
        )
        KINDS[kind][1](Random(f"panprior {number}"), case, self.seeds)
        return kind, case

    def run(self, number: int, *, damaging: bool = True) -> dict[str, Any]:
        """What came of it: exit code, faults (none where all is right), seconds."""
        kind, case = self.make(number, damaging=damaging)
        before, memory = _listing(case.given), peak_gibibytes()
        connections = self.host.connections
        self.canaries.opened()
        self.hook.found.clear()
        self.hook.opened.clear()
        os.chdir(case.given)
        forget_open()
        began = time.process_time()
        with _captured(self.folder / "printed", self.folder / "said") as (printed, said):
            _mark(number)
            self.hook.on = True
            code, raised = _exit_code(case)
            self.hook.on = False
        os.chdir(self.folder)
        faults = [*raised, *_odd_lines(printed(), said(), code), *self.hook.found]
        seconds = time.process_time() - began
        by_python = [
            Path(p).name for p in self.hook.opened if p.startswith(str(self.folder / "canary"))
        ]
        opened = self.canaries.opened()
        if case.reads_named:  # by Python alone, to see what it is
            for name in by_python:
                with contextlib.suppress(ValueError):
                    opened.remove(name)
            faults = [fault for fault in faults if fault != "open /etc/passwd"]
        faults += [f"canary {name} was opened" for name in opened]
        if self.host.connections != connections:
            faults.append("a connection to the named host")
        added = peak_gibibytes() - memory
        if added > _MOST_MEMORY:
            faults.append(f"{added:.1f} GiB of memory")
        if not case.changes_given and _listing(case.given) != before:
            faults.append("an input was changed")
        faults += _left(case, code)
        return {
            "number": number, "kind": kind, "code": code, "faults": faults,
            "seconds": round(seconds, 3), "what": "; ".join(case.what)[:300],
            "argv": [case.program, *case.argv], "said": said()[-400:],
        }  # fmt: skip


def _mark(number: int) -> None:
    """For tests/fuzz/tracing.py: an open that fails and names the case."""
    if mark := os.environ.get("FUZZ_MARK"):
        with contextlib.suppress(OSError):
            os.open(f"{mark}{number}", os.O_RDONLY)


def _exit_code(case: Case) -> tuple[int, list[str]]:
    try:
        return PROGRAMS[case.program](case.argv), []
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1, []
    except BaseException as error:  # noqa: BLE001 - a traceback at the command line
        last = traceback.extract_tb(error.__traceback__)[-1]
        ours = [
            f
            for f in traceback.extract_tb(error.__traceback__)
            if "site-packages" not in f.filename
        ]
        place = ", ".join(f"{Path(f.filename).name}:{f.lineno}" for f in (ours[-1], last))
        return 1, [f"traceback: {type(error).__name__}: {error} at {place}"[:400]]


@contextlib.contextmanager
def _captured(*paths: Path) -> Any:
    """What is written to standard output and to standard error, by C code too."""
    with contextlib.ExitStack() as stack:
        for number, path in enumerate(paths, 1):
            held = os.dup(number)
            stack.callback(os.close, held)
            stack.callback(os.dup2, held, number)
            os.dup2(stack.enter_context(path.open("wb")).fileno(), number)
        stack.callback(sys.stderr.flush)
        stack.callback(sys.stdout.flush)
        yield tuple(
            lambda path=path: path.read_bytes().decode("utf-8", "replace") for path in paths
        )


def _odd_lines(printed: str, said: str, code: int) -> list[str]:
    """Lines that no program of ours wrote; an exit code without a line; what steers a terminal."""
    faults = []
    said = _DECODER.sub("decoder: ", said)
    if "Traceback" in said:
        faults.append("traceback printed: " + said[said.index("Traceback") :][-300:])
    if code not in (0, 2):
        faults.append(f"exit code {code}")
    if code == 2 and not said.strip():
        faults.append("exit code 2 without a line")
    if any(not (c.isprintable() or c in "\n\t\r") for c in printed + said):
        faults.append(f"control characters: {said[:200]!r}")
    foreign = [
        line
        for line in said.splitlines()
        if line.strip() and not line.startswith(_OURS) and not _SHOWN.match(line)
    ]
    return faults + [f"foreign output: {line[:300]!r}" for line in foreign[:2]]


def _listing(folder: Path) -> dict[str, tuple[int, int]]:
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        found[str(path)] = (status.st_size, status.st_mtime_ns if not path.is_dir() else 0)
    return found


def _left(case: Case, code: int) -> list[str]:
    """What is there and should not be, or the other way round."""
    faults = [f"left behind: {p.name}" for p in case.out.parent.rglob(".part-*")]
    made = [case.out / name for name in case.makes]
    if code == 0:
        faults += [f"missing: {path.name}" for path in made if not path.exists()]
        for path in made:
            if path.suffix == ".tif" and path.exists():
                try:
                    with rasterio.open(path) as file:
                        file.read()
                except Exception as error:  # noqa: BLE001
                    faults.append(f"damaged output {path.name}: {error}")
            if path.suffix == ".json" and path.exists():
                try:
                    json.loads(path.read_bytes())
                except ValueError as error:
                    faults.append(f"damaged output {path.name}: {error}")
        return faults
    there = [p for p in case.out.rglob("*") if p.is_file() and not p.name.startswith(_LEAVES)]
    return faults + [f"half-written: {p.relative_to(case.out)}" for p in there]


def main() -> None:
    first, last, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    with (folder / "stack.txt").open("w") as stack:
        faulthandler.enable(stack)
        worker = Worker(folder)
        for number in range(first, last):
            print(json.dumps({"begins": number}), file=answers)
            print(json.dumps(worker.run(number)), file=answers)


if __name__ == "__main__":
    main()
