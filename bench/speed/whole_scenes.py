"""What whole scenes cost `fusiontrain fuse`: time by size, and whether memory stays.

python -m bench.speed.whole_scenes --slope 4 16 64 256 [--methods gsa net]      full scenes, 4 bands
python -m bench.speed.whole_scenes --sparse 40000 --filled 8 --bands 8 [--methods gsa]
    a scene of so many PAN pixels a side, of whose chunks of 2048 one in --filled holds data

Files are made below --room in tiles, never whole in memory, and taken away again. Each row is a
process of its own: processor time (its own, whatever else runs), the clock, peak resident memory.
"""

import argparse
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import Affine

from bench.speed.aims import Aim, verdict
from bench.speed.made_scenes import BLOCK, GRID, made_scene
from bench.speed.programs import CLI, Cost, measure
from bench.speed.record import command_line, record

CHUNK = 2048  # PAN pixels a side
RATIO = 4
NETWORK = "net"


def write_pair(room: Path, side: int, bands: int, *, filled: int) -> tuple[Path, Path, int]:
    """PAN, MS, and how many PAN pixels of them are data; one chunk in `filled` is, evenly spread.

    Raises: ValueError unless the side is a whole number of MS pixels.
    """
    if side % RATIO:
        raise ValueError(f"the side must be a multiple of {RATIO}; got {side}")
    images = made_scene(CHUNK, CHUNK, bands)
    images = tuple(np.maximum(image, 1) for image in images)  # 0 is nodata
    paths = room / "pan.tif", room / "ms.tif"
    for path, image, scale in zip(paths, images, (1, RATIO), strict=True):
        profile = {"driver": "GTiff", "count": len(image), "dtype": image.dtype, "nodata": 0}
        profile |= {"height": side // scale, "width": side // scale, "bigtiff": "if_safer"}
        profile |= {"tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK, "sparse_ok": True}
        profile |= {"crs": "EPSG:32633", "transform": GRID @ Affine.scale(scale)}
        step = CHUNK // scale
        with rasterio.open(path, "w", photometric="minisblack", **profile) as file:
            for place in _places(side, filled):
                top, left = (start // scale for start in place)
                h, w = (min(step, side // scale - start) for start in (top, left))
                file.write(image[:, :h, :w], window=((top, top + h), (left, left + w)))
    data = sum(
        min(CHUNK, side - top) * min(CHUNK, side - left) for top, left in _places(side, filled)
    )
    return *paths, data


def _places(side: int, filled: int) -> list[tuple[int, int]]:
    """Upper left corners of the chunks that hold data; rows begin elsewhere, so no stripes."""
    starts = range(0, side, CHUNK)
    everywhere = [(top, left) for top in starts for left in starts]
    if filled == 1:
        return everywhere
    across = len(starts)
    kept = [
        place
        for number, place in enumerate(everywhere)
        if (number % across + 3 * (number // across)) % filled == 0
    ]
    middle = (side // 2 // CHUNK * CHUNK,) * 2  # where fuse looks first for blur and shift
    return sorted({*kept, middle})


def fused(args: argparse.Namespace, room: Path, side: int, method: str, filled: int) -> str:
    """One row of the table."""
    pan, ms, data = write_pair(room, side, args.bands, filled=filled)
    out = room / "out.tif"
    command = [CLI, "fuse", pan, ms, out, "--threads", args.threads, "--memory", args.memory, "-q"]
    if method == NETWORK:
        command += ["--weights", args.weights]
    else:
        command += ["--method", method]
    cost = measure([str(word) for word in command], room, args.threads)
    size = out.stat().st_size / 2**20
    for path in (pan, ms, out):
        path.unlink()
    _kept(args, side, method, filled, data, cost)
    megapixels, holding = side * side / 1e6, data / 1e6
    return (
        f"| {megapixels:.1f} | {holding:.1f} | {args.bands} | {method} | {cost.peak:.0f} "
        f"| {cost.cpu:.0f} | {cost.clock:.0f} | {cost.cpu / holding:.2f} | {size:.0f} |"
    )


def _kept(
    args: argparse.Namespace, side: int, method: str, filled: int, data: int, cost: Cost
) -> None:
    args.figures[f"{side} x {side} x {args.bands}, {method}, one in {filled}"] = {
        "cpu_s": cost.cpu,
        "clock_s": cost.clock,
        "peak_MiB": cost.peak,
        "Mpix_of_data": data / 1e6,
    }
    if args.record:
        libraries = ("torch", "numpy", "rasterio")
        record("whole scenes", args.figures, command=command_line(), libraries=libraries)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--slope", type=float, nargs="+", metavar="MPIX", default=[])
    parser.add_argument("--sparse", type=int, metavar="SIDE", help="PAN pixels")
    parser.add_argument("--filled", type=int, default=8, help="one chunk in so many")
    parser.add_argument("--methods", nargs="+", default=["gsa"], help=f"--method, or {NETWORK}")
    parser.add_argument("--bands", type=int, default=4)
    parser.add_argument("--weights", default="default")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--memory", type=float, default=2.0)
    parser.add_argument("--record", action="store_true", help="into bench/results.json")
    parser.add_argument("--room", type=Path, help="a folder with space")
    args = parser.parse_args(argv)
    args.figures = {}
    sizes = [(round((m * 1e6) ** 0.5 / BLOCK) * BLOCK or BLOCK, 1) for m in args.slope]
    sizes += [] if args.sparse is None else [(args.sparse, args.filled)]
    head = "scene, Mpix | of data | bands | method | peak MiB | processor s | by the clock"
    print(f"| {head} | processor s / Mpix of data | output MiB |\n|{'---:|' * 9}", flush=True)
    with tempfile.TemporaryDirectory(dir=args.room) as room:
        for side, filled in sizes:
            for method in args.methods:
                print(fused(args, Path(room), side, method, filled), flush=True)
    return verdict(slope_aims(args.figures))


def slope_aims(figures: dict[str, dict[str, float]]) -> Iterator[Aim]:
    """From the second size on a further Mpix costs the same; memory stays."""
    by_method: dict[str, list[dict[str, float]]] = {}
    for name, row in figures.items():
        if name.endswith("one in 1"):
            by_method.setdefault(name.split(", ")[1], []).append(row)
    for method, rows in by_method.items():
        slopes = [
            (b["cpu_s"] - a["cpu_s"]) / (b["Mpix_of_data"] - a["Mpix_of_data"])
            for a, b in pairwise(rows)
        ]
        if len(slopes) > 1:
            yield Aim(f"{method}: last slope over the first", slopes[-1] / slopes[0], 1.1, True)
            peaks = [row["peak_MiB"] for row in rows[-2:]]
            yield Aim(f"{method}: last peak over the one before", peaks[1] / peaks[0], 1.1, True)


if __name__ == "__main__":
    raise SystemExit(main())
