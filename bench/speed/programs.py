"""Programs that fuse two files (GDAL's, OTB's, ours), and what a process costs."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

CLI = Path(sys.executable).parent / "fusiontrain"
GDAL, OTB = "gdal_pansharpen.py", "otbcli_BundleToPerfectSensor"
PACKAGES = {GDAL: "gdal-bin python3-gdal", OTB: "otb-bin"}
OURS = {"Brovey": "brovey", "GSA": "gsa", "MTF-GLP-HPM-R": "mtf-glp-hpm-r"}  # name: --method
COG = ("COMPRESS=ZSTD", "PREDICTOR=2", "OVERVIEW_RESAMPLING=AVERAGE")
LIBRARIES = ("torch", "numpy", "rasterio")
MODES = ("rcs", "lmvm", "bayes")
# A child begins with its parent's peak of memory, so what starts it must be small.
_METER = """
import json, os, sys, time
begun = time.monotonic()
_, status, used = os.wait4(os.spawnvp(os.P_NOWAIT, sys.argv[2], sys.argv[2:]), 0)
cost = [os.waitstatus_to_exitcode(status), time.monotonic() - begun,
        used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]
open(sys.argv[1], "w").write(json.dumps(cost))
"""


class Failed(RuntimeError):
    """A program that ended with an error; what it said."""


@dataclass(frozen=True, slots=True)
class Cost:
    clock: float  # seconds
    cpu: float
    peak: float  # MiB


@dataclass(frozen=True, slots=True)
class Program:
    """One way to fuse two files; `command`: PAN, MS, OUT, OTB's pixel type -> what to start."""

    name: str
    command: Callable[[Path, Path, Path, str], list[str]]


def rivals(threads: int) -> Iterator[Program]:
    """Those that are installed; a line for each that is not."""
    for tool, packages in PACKAGES.items():
        if shutil.which(tool) is None:
            print(f"left out: {tool} is not installed (apt-get install {packages})", flush=True)
    if shutil.which(GDAL):
        yield Program("GDAL Brovey", lambda pan, ms, out, _: gdal(pan, ms, out, threads))
    if shutil.which(OTB):
        for mode in MODES:
            yield Program(f"OTB {mode}", _otb(mode))


def gdal(pan: Path, ms: Path, out: Path, threads: int, *how: str) -> list[str]:
    how = how or ("-of", "GTiff", "-co", "TILED=YES")
    return [GDAL, "-q", "-threads", str(threads), *how, *map(str, (pan, ms, out))]


def _otb(mode: str) -> Callable[[Path, Path, Path, str], list[str]]:
    def command(pan: Path, ms: Path, out: Path, pixel: str) -> list[str]:
        files = ["-inp", str(pan), "-inxs", str(ms), "-method", mode]
        return [OTB, *files, "-out", f"{out}?&gdal:co:TILED=YES", pixel, "-progress", "0"]

    return command


def ours(pan: Path, ms: Path, out: Path, threads: int, *how: str) -> list[str]:
    run = ["--threads", str(threads), "--quiet"]
    return [str(CLI), "fuse", *map(str, (pan, ms, out)), *run, *how]


def measure(command: list[str], room: Path, threads: int) -> Cost:
    """Raises: Failed, with the last lines it printed."""
    report = room / "cost.json"
    limits = ("OMP_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "GDAL_NUM_THREADS")
    ran = subprocess.run(
        [sys.executable, "-S", "-c", _METER, str(report), *command],
        env=os.environ | dict.fromkeys(limits, str(threads)),
        capture_output=True,
        text=True,
        check=False,
    )
    code, clock, cpu, peak = json.loads(report.read_text()) if report.exists() else (127, 0, 0, 0)
    report.unlink(missing_ok=True)
    if code:
        raise Failed(
            f"{Path(command[0]).name} ended with {code}: {(ran.stdout + ran.stderr)[-400:]}"
        )
    return Cost(clock, cpu, peak)
