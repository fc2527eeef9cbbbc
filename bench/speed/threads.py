"""What a second thread of `fuse` brings: the same scene by one and by two, in turns, by the clock.

python -m bench.speed.threads [--side 4096] [--rounds 2] [--methods net gsa]

On two idle cores; on a busy machine the clock says little. "fusing": what --json says, without
imports and measuring the pair; "whole": the process. The least of the rounds.
"""

import argparse
import json
import math
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rasterio.transform import Affine

from bench.speed.aims import Aim, verdict
from bench.speed.made_scenes import GRID, made_scene, write_geotiff
from bench.speed.programs import LIBRARIES, measure
from bench.speed.record import command_line, record

THREADS = (1, 2)
TIMES = 1.7  # at least


def seconds(room: Path, method: str, threads: int) -> dict[str, float]:
    """Of one run, by the clock; and the processor's."""
    report = room / "report.json"
    files = [str(room / name) for name in ("pan.tif", "ms.tif", "out.tif")]
    how = ["--method", method, "--threads", str(threads), "--json", str(report), "--quiet"]
    cost = measure([sys.executable, "-m", "fusiontrain", "fuse", *files, *how], room, threads)
    fusing = json.loads(report.read_text())["seconds"]["fusing"]
    return {"fusing, s": fusing, "whole, s": cost.clock, "s of a core": cost.cpu}


def aims(figures: dict[str, dict[str, float]], methods: list[str]) -> Iterator[Aim]:
    for method in methods:
        one, two = (figures[f"{method}, {n} threads"]["fusing, s"] for n in THREADS)
        yield Aim(f"{method}: two threads over one, fusing", one / two, TIMES)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--side", type=int, default=4096, help="PAN pixels")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--methods", nargs="+", default=["net", "gsa"])
    parser.add_argument("--room", type=Path, help="a folder with space")
    parser.add_argument("--quick", action="store_true", help="no aim, no record")
    args = parser.parse_args()
    names = [(method, n) for method in args.methods for n in THREADS]
    figures: dict[str, dict[str, float]] = {f"{m}, {n} threads": {} for m, n in names}
    with tempfile.TemporaryDirectory(dir=args.room) as folder:
        room = Path(folder)
        images = made_scene(args.side, args.side, 4)
        for kind, image, scale in zip(("pan", "ms"), images, (1, 4), strict=True):
            write_geotiff(room / f"{kind}.tif", image, GRID @ Affine.scale(scale))
        for _ in range(args.rounds):
            for method, threads in names:  # in turns
                row = figures[f"{method}, {threads} threads"]
                for name, value in seconds(room, method, threads).items():
                    row[name] = min(row.get(name, math.inf), value)
    for name, row in figures.items():
        print(name, ", ".join(f"{what} {value:.1f}" for what, value in row.items()), flush=True)
    if args.quick:
        return 0
    record("threads", figures, command=command_line(), libraries=LIBRARIES)
    return verdict(aims(figures, args.methods))


if __name__ == "__main__":
    raise SystemExit(main())
