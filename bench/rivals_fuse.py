"""Fusing beside GDAL and OTB: the same scene, the same threads, one run.

bench/rivals_fuse.py --only speed [--side 4096] [--rounds 1] [--threads 1] [--weights W]
bench/rivals_fuse.py --only quality [--scenes ../shared/data/real] [--weights W]

Rivals are Debian's: apt-get install gdal-bin python3-gdal otb-bin. What is not installed is said
and left out; so is the network without --weights. Speed: end to end, files in and out, of a
process and all that it starts: Mpix a second of its own processor time and of the clock, and
its peak memory; the least of the rounds. Quality: bench/rivals_quality.py.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import rasterio
from fuse import BLOCK, CLI, GRID, scene
from rasterio.transform import Affine
from record import command_line, record

GDAL, OTB = "gdal_pansharpen.py", "otbcli_BundleToPerfectSensor"
PACKAGES = {GDAL: "gdal-bin python3-gdal", OTB: "otb-bin"}
MODES = ("rcs", "lmvm", "bayes")
OURS = {"Brovey": "brovey", "GSA": "gsa", "MTF-GLP-HPM-R": "mtf-glp-hpm-r"}  # name: --method
COG = ("COMPRESS=ZSTD", "PREDICTOR=2", "OVERVIEW_RESAMPLING=AVERAGE")
LIBRARIES = ("torch", "numpy", "rasterio")
# A child begins with its parent's peak of memory, so what starts it must be small.
_METER = """
import json, os, sys, time
begun = time.monotonic()
_, status, used = os.wait4(os.spawnvp(os.P_NOWAIT, sys.argv[2], sys.argv[2:]), 0)
told = [os.waitstatus_to_exitcode(status), time.monotonic() - begun,
        used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]
open(sys.argv[1], "w").write(json.dumps(told))
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
        yield Program("GDAL Brovey", lambda pan, ms, out, _: _gdal(pan, ms, out, threads))
    if shutil.which(OTB):
        for mode in MODES:
            yield Program(f"OTB {mode}", _otb(mode))


def _gdal(pan: Path, ms: Path, out: Path, threads: int, *how: str) -> list[str]:
    how = how or ("-of", "GTiff", "-co", "TILED=YES")
    return [GDAL, "-q", "-threads", str(threads), *how, *map(str, (pan, ms, out))]


def _otb(mode: str) -> Callable[[Path, Path, Path, str], list[str]]:
    def command(pan: Path, ms: Path, out: Path, pixel: str) -> list[str]:
        files = ["-inp", str(pan), "-inxs", str(ms), "-method", mode]
        return [OTB, *files, "-out", f"{out}?&gdal:co:TILED=YES", pixel, "-progress", "0"]

    return command


def _ours(pan: Path, ms: Path, out: Path, threads: int, *how: str) -> list[str]:
    run = ["--threads", str(threads), "--quiet"]
    return [str(CLI), "fuse", *map(str, (pan, ms, out)), *run, *how]


def measure(command: list[str], room: Path, threads: int) -> Cost:
    """Raises: Failed, with the last lines it printed."""
    told = room / "cost.json"
    limits = ("OMP_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "GDAL_NUM_THREADS")
    ran = subprocess.run(
        [sys.executable, "-S", "-c", _METER, str(told), *command],
        env=os.environ | dict.fromkeys(limits, str(threads)),
        capture_output=True,
        text=True,
        check=False,
    )
    code, clock, cpu, peak = json.loads(told.read_text()) if told.exists() else (127, 0, 0, 0)
    told.unlink(missing_ok=True)
    if code:
        raise Failed(
            f"{Path(command[0]).name} ended with {code}: {(ran.stdout + ran.stderr)[-400:]}"
        )
    return Cost(clock, cpu, peak)


def write(path: Path, image: object, grid: Affine) -> None:
    count, height, width = image.shape
    profile = {"driver": "GTiff", "count": count, "height": height, "width": width}
    profile |= {"dtype": image.dtype, "crs": "EPSG:32633", "transform": grid, "tiled": True}
    profile |= {"blockxsize": BLOCK, "blockysize": BLOCK, "photometric": "minisblack"}
    with rasterio.open(path, "w", **profile) as file:
        file.write(image)


def speed(args: argparse.Namespace, room: Path) -> None:
    paths = room / "pan.tif", room / "ms.tif"
    for path, image, grid in zip(
        paths, scene(args.side, args.side, 4), (GRID, GRID @ Affine.scale(4)), strict=True
    ):
        write(path, image, grid)
    threads, plain = args.threads, ("--format", "GTiff", "-co", "COMPRESS=NONE")
    entrants = list(rivals(threads))
    for name, method in OURS.items():
        how = (*plain, "--method", method)
        entrants.append(Program(f"ours {name}", _how(threads, *how)))
        if name == "Brovey":  # GDAL looks for no shift either
            entrants.append(Program(f"ours {name} *", _how(threads, *how, "--register", "off")))
    if args.weights is None:
        print("left out: the network; give --weights", flush=True)
    else:
        how = (*plain, "--weights", str(args.weights))
        entrants.append(Program("ours network", _how(threads, *how)))
    if args.cog:
        options = [text for option in (*COG, f"NUM_THREADS={threads}") for text in ("-co", option)]
        if shutil.which(GDAL):
            entrants.append(
                Program(
                    "GDAL Brovey, COG",
                    lambda pan, ms, out, _: _gdal(pan, ms, out, threads, "-of", "COG", *options),
                )
            )
        entrants.append(Program("ours Brovey, COG", _how(threads, "--method", "brovey")))
    if args.methods:
        entrants = [one for one in entrants if any(word in one.name for word in args.methods)]
    megapixels = args.side**2 / 1e6
    figures: dict[str, dict[str, float]] = {}
    costs: dict[str, list[Cost]] = {one.name: [] for one in entrants}
    for _ in range(args.rounds):
        for one in entrants:  # in turns
            out = room / "out.tif"
            costs[one.name].append(measure(one.command(*paths, out, "uint16"), room, threads))
            out.unlink()
    print(f"\n{args.side} x {args.side} x 4, uint16, threads: {threads}; *: --register off\n")
    print("| | Mpix/s of processor time | by the clock | peak MiB |\n|---|---:|---:|---:|")
    for name, each in costs.items():
        cpu, clock = min(c.cpu for c in each), min(c.clock for c in each)
        peak = max(c.peak for c in each)
        figures[name] = {"cpu": megapixels / cpu, "clock": megapixels / clock, "MiB": peak}
        print(f"| {name} | {megapixels / cpu:.2f} | {megapixels / clock:.2f} | {peak:.0f} |")
    record("fuse beside others: speed", figures, command=command_line(), libraries=LIBRARIES)


def _how(threads: int, *how: str) -> Callable[[Path, Path, Path, str], list[str]]:
    return lambda pan, ms, out, _: _ours(pan, ms, out, threads, *how)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--only", choices=("speed", "quality"))
    parser.add_argument("--side", type=int, default=4096, help="PAN pixels")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cog", action="store_true", help="also COGs, GDAL's and ours")
    parser.add_argument("--methods", nargs="*", help="words of the names that are to run")
    parser.add_argument("--weights", type=Path, help="of the network; or default, small")
    parser.add_argument("--scenes", type=Path, default=Path("../shared/data/real"))
    parser.add_argument("--names", nargs="*", default=[], help="scenes; default: all")
    parser.add_argument("--protocol", choices=("reduced", "full", "both"), default="both")
    parser.add_argument("--room", type=Path, help="a folder with space")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.room) as room:
        if args.only != "quality":
            speed(args, Path(room))
        if args.only == "speed":
            return
        if not args.scenes.is_dir():
            print(f"left out: quality; no real scenes at {args.scenes} (--scenes)")
            return
        from rivals_quality import quality

        quality(args, Path(room))


if __name__ == "__main__":
    main()
