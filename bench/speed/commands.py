"""What commands cost a user, in imports of torch: processor time of a process, in turns.

python -m bench.speed.commands [--rounds 3] [--side 1000] [--scenes DIR] [--before DIR] [--quick]

A scene of `--side` fused by default, --help, a refused input; with --scenes the benchmark's
classical methods on them, and with --before that of an older checkout. The least of the rounds.
"""

import argparse
import compileall
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rasterio.transform import Affine

from bench.speed.aims import Aim, verdict
from bench.speed.made_scenes import GRID, made_scene, write_geotiff
from bench.speed.programs import LIBRARIES, Failed, measure
from bench.speed.record import command_line, record

IMPORT, HELP = "import torch", "fuse --help"
REFUSED, DAMAGED = "a refused input", "a file that is no image"
SIDE = 1000  # PAN pixels of the aim
BENCHMARK, BEFORE = "benchmark", "benchmark before"
LIGHT = 0.5  # s of a core for what imports no torch
RUN = [sys.executable, "-m", "fusiontrain"]


def fuse_of(side: int) -> str:
    return f"fuse {side} x {side}"


def commands(args: argparse.Namespace, room: Path) -> dict[str, list[str]]:
    """What to start, by name."""
    pan, ms, out = room / "pan.tif", room / "ms.tif", room / "out.tif"
    text = room / "text.tif"
    text.write_text("no image")
    for path, image, grid in zip(
        (pan, ms), made_scene(args.side, args.side, 4), (GRID, GRID @ Affine.scale(4)), strict=True
    ):
        write_geotiff(path, image, grid)
    found = {
        IMPORT: [sys.executable, "-c", "import torch"],
        fuse_of(args.side): [
            *RUN,
            "fuse",
            str(pan),
            str(ms),
            str(out),
            "--threads",
            "1",
            "--quiet",
        ],
        HELP: [*RUN, "fuse", "--help"],
        REFUSED: refused("no.tif", out),
        DAMAGED: refused(str(text), out),
    }
    if args.scenes is not None:
        score = ["benchmark", str(args.scenes), "--protocol", "both", "--out", str(room / "b")]
        found[BENCHMARK] = [*RUN, *score]
        if args.before is not None:
            own = ["env", "-C", str(args.before), f"PYTHONPATH={args.before.resolve()}"]
            found[BEFORE] = [*own, *RUN, *score]
    return found


def refused(name: str, out: Path) -> list[str]:
    """The meter takes a failure for one of its own."""
    return ["sh", "-c", f"! {' '.join([*RUN, 'fuse', name, name, str(out)])}"]


def aims(seconds: dict[str, float]) -> Iterator[Aim]:
    torch = seconds[IMPORT]
    if (fuse := fuse_of(SIDE)) in seconds:
        yield Aim(f"{fuse}, imports of torch", seconds[fuse] / torch, 2.2, at_most=True)
    for name in (HELP, REFUSED, DAMAGED):
        yield Aim(f"{name}, s of a core", seconds[name], LIGHT, at_most=True)
    if BEFORE in seconds:
        ratio = seconds[BENCHMARK] / seconds[BEFORE]
        yield Aim(f"{BENCHMARK} over {BEFORE}", ratio, 0.5, at_most=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", type=int, default=SIDE, help="PAN pixels")
    parser.add_argument("--scenes", type=Path, help="for the benchmark; absolute")
    parser.add_argument("--before", type=Path, help="checkout of an older version to race")
    parser.add_argument("--quick", action="store_true", help="no record")
    args = parser.parse_args()
    own = Path(__file__).parents[2]
    os.environ["PYTHONPATH"] = str(own)
    for checkout in filter(None, (own, args.before)):  # as installing does
        for package in ("fusiontrain", "shards"):
            compileall.compile_dir(checkout / package, quiet=2)
    with tempfile.TemporaryDirectory() as folder:
        room = Path(folder)
        found = commands(args, room)
        seconds = dict.fromkeys(found, float("inf"))
        for _ in range(args.rounds):
            for name, command in found.items():  # in turns
                try:
                    seconds[name] = min(seconds[name], measure(command, room, 1).cpu)
                except Failed as error:
                    print(f"{name}: {error}")
                    return 1
    torch = seconds[IMPORT]
    figures = {
        name: {"s of a core": cpu, "imports of torch": cpu / torch} for name, cpu in seconds.items()
    }
    print("| | s of a core | imports of torch |\n|---|---:|---:|")
    for name, row in figures.items():
        print(f"| {name} | {row['s of a core']:.2f} | {row['imports of torch']:.2f} |")
    if not args.quick:
        record("commands", figures, command=command_line(), libraries=LIBRARIES)
    return verdict(aims(seconds))


if __name__ == "__main__":
    raise SystemExit(main())
