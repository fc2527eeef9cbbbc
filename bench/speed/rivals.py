"""Fusing beside GDAL and OTB: the same scene, the same threads, one run.

python -m bench.speed.rivals --only speed [--side 4096] [--rounds 1] [--threads 1] [--weights W]
    [--content NAME --softness .3 .54 --before DIR]   a real scene; beside an older version
python -m bench.speed.rivals --only quality [--scenes ../shared/data/real] [--weights W]

Rivals are Debian's: apt-get install gdal-bin python3-gdal otb-bin. What is not installed is said
and left out; so is the network without --weights. Speed: end to end, files in and out, of a
process and all that it starts: Mpix a second of its own processor time and of the clock, and
its peak memory; the least of the rounds. Quality: bench/speed/rivals_quality.py.
"""

import argparse
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import Affine

from bench.speed.aims import Aim, verdict
from bench.speed.made_scenes import GRID, made_scene, write_geotiff
from bench.speed.programs import (
    COG,
    GDAL,
    LIBRARIES,
    OURS,
    Cost,
    Program,
    gdal,
    measure,
    ours,
    rivals,
)
from bench.speed.record import command_line, record


def speed(args: argparse.Namespace, room: Path) -> int:
    paths = room / "pan.tif", room / "ms.tif"
    images = scene_of(args)
    for path, image, grid in zip(paths, images, (GRID, GRID @ Affine.scale(4)), strict=True):
        write_geotiff(path, image, grid)
    threads, plain = args.threads, ("--format", "GTiff", "-co", "COMPRESS=NONE")
    contenders = list(rivals(threads))
    for name, method in OURS.items():
        how = (*plain, "--method", method)
        contenders.append(Program(f"ours {name}", _how(threads, *how)))
        if name == "Brovey":  # GDAL looks for no shift either
            contenders.append(Program(f"ours {name} *", _how(threads, *how, "--register", "off")))
    if args.weights is None:
        print("left out: the network; give --weights", flush=True)
    else:
        contenders += networks(args, plain)
    if args.cog:
        options = [text for option in (*COG, f"NUM_THREADS={threads}") for text in ("-co", option)]
        if shutil.which(GDAL):
            contenders.append(
                Program(
                    "GDAL Brovey, COG",
                    lambda pan, ms, out, _: gdal(pan, ms, out, threads, "-of", "COG", *options),
                )
            )
        contenders.append(Program("ours Brovey, COG", _how(threads, "--method", "brovey")))
    if args.methods:
        contenders = [one for one in contenders if any(word in one.name for word in args.methods)]
    megapixels = args.side**2 / 1e6
    figures: dict[str, dict[str, float]] = {}
    costs: dict[str, list[Cost]] = {one.name: [] for one in contenders}
    for _ in range(args.rounds):
        for one in contenders:  # in turns
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
    aims = speed_aims(figures)
    if args.quick:  # start takes most of a small scene's time
        return verdict(aim for aim in aims if aim.at_most)
    record("fuse beside others: speed", figures, command=command_line(), libraries=LIBRARIES)
    return verdict(aims)


def scene_of(args: argparse.Namespace) -> tuple[np.ndarray, np.ndarray]:
    """PAN and MS of four bands, made, or a real scene's repeated until they are so large."""
    if args.content is None:
        return made_scene(args.side, args.side, 4)
    images = []
    for kind, side in (("pan", args.side), ("ms", args.side // 4)):
        with rasterio.open(args.scenes / f"{args.content}_{kind}.tif") as file:
            image = file.read()[:4]
        times = -(-side // min(image.shape[1:]))
        images.append(np.tile(image, (1, times, times))[:, :side, :side].astype("u2"))
    return images[0], images[1]


def networks(args: argparse.Namespace, plain: tuple[str, ...]) -> Iterator[Program]:
    """Ours at each softness, and with --before the same by the program of that checkout."""
    for softness in args.softness:
        how = (*plain, "--weights", str(args.weights), "--softness", softness)
        yield Program(f"ours network, softness {softness}", _how(args.threads, *how))
        if args.before is not None:
            how = (*plain, "--weights", "default", "--softness", softness)
            own = ["env", f"PYTHONPATH={args.before.resolve()}"]
            program = _how(args.threads, *how)
            yield Program(
                f"network before, softness {softness}",
                lambda *paths, own=own, program=program: [*own, *program(*paths)],
            )


def speed_aims(figures: dict[str, dict[str, float]]) -> Iterator[Aim]:
    """Ratios of processor time's rates, where both were run; memory of the network."""
    pairs = [
        ("ours Brovey *", "GDAL Brovey", 0.8),
        ("ours GSA", "OTB rcs", 1.5),
        ("ours MTF-GLP-HPM-R", "OTB rcs", 1.0),
    ]
    for name in figures:
        if name.startswith("ours network"):
            yield Aim(f"{name}, peak MiB", figures[name]["MiB"], 2000, at_most=True)
            pairs.append((name, name.replace("ours network", "network before"), 2.5))
    for ours_, theirs, bound in pairs:
        if ours_ in figures and theirs in figures:
            ratio = figures[ours_]["cpu"] / figures[theirs]["cpu"]
            yield Aim(f"{ours_} over {theirs}", ratio, bound)


def _how(threads: int, *how: str) -> Callable[[Path, Path, Path, str], list[str]]:
    return lambda pan, ms, out, _: ours(pan, ms, out, threads, *how)


def main() -> int:
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
    parser.add_argument("--content", help="a scene of --scenes, repeated to --side; else made")
    parser.add_argument("--softness", nargs="+", default=["0.3"], help="of the network's runs")
    parser.add_argument("--before", type=Path, help="checkout of an older version to race")
    parser.add_argument("--quick", action="store_true", help="no aim of speed, no record")
    parser.add_argument("--room", type=Path, help="a folder with space")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.room) as room:
        missed = 0 if args.only == "quality" else speed(args, Path(room))
        if args.only == "speed":
            return missed
        if not args.scenes.is_dir():
            print(f"left out: quality; no real scenes at {args.scenes} (--scenes)")
            return missed
        from bench.speed.rivals_quality import quality  # with torch: a child starts from our peak

        quality(args, Path(room))
    return missed


if __name__ == "__main__":
    raise SystemExit(main())
