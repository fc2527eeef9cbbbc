"""The simulation beside its rivals, in one run, in turns: samples a second and core.

python -m bench.speed.simulation [--photos DIR] [--rounds 5] [--samples 48] [--only rivals ...]
python -m bench.speed.simulation --only memory --memory 20000 --tile 64
"""

import argparse
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from nvidia.dali import fn, pipeline_def, types

from bench.speed import plain_torch
from bench.speed.aims import Aim, named_aims, verdict
from bench.speed.builds import BANDS, LIBRARIES, SIZE, build_of, make_photos, on_one_core, tasks_of
from bench.speed.record import command_line, record, show
from shards.schema import decode_sample, packed_members, plain_members
from shards.tar import read_samples
from simgen.building.build import Progress, run_build
from simgen.building.shard import build_shard
from simgen.building.shard_writing import write_shard
from simgen.recipes import find_recipe
from simgen.sampling import sample_parameters
from simgen.simulate import dali_graph, dali_inputs, dali_pipelines, dispatch
from simgen.simulate.job import Job
from simgen.simulate.numpy_engine import finish

PARTS = ("rivals", "workers", "memory", "writing", "compression")
Jobs = list[Job]
Report = tuple[float, float, int]  # clock, processor time, samples made


def jobs_of(folder: Path, number: int) -> Jobs:
    recipe, jobs = find_recipe("sensor"), []
    for path in sorted(folder.glob("*.jpg"))[:number]:
        draw = sample_parameters(
            recipe, bands=BANDS, seed=0, key=path.name, height=SIZE[1], width=SIZE[0]
        )
        jobs.append(Job(image=path.read_bytes(), draw=draw))
    return jobs


def decode_and_crop(jobs: Jobs) -> int:
    """What DALI needs for the pixels alone: no check of the image, no resize."""

    @pipeline_def
    def crops(feed: Callable[..., Any], device: str) -> Any:
        columns = fn.external_source(
            source=feed, num_outputs=3, batch=True, dtype=[types.UINT8, types.INT32, types.INT32]
        )
        return (dali_graph.decode(*columns, device),)

    made = dali_pipelines._run(
        crops, {}, jobs, lambda job: dali_inputs.encoded_row(job)[:3], device="cpu", threads=1
    )
    return sum(1 for _ in made)


def in_graph(jobs: Jobs) -> None:
    """The pure DALI graph, which leaves out moving objects and local shifts, then noise."""
    recipe = find_recipe("sensor")
    for physical in (False, True):
        some = [job for job in jobs if job.draw.optics.physical is physical]
        seen = dali_pipelines.observe_in_graph(some, recipe, device="cpu")
        for job, images in zip(some, seen, strict=True):
            finish(*images, job.draw, recipe)


def in_torch(jobs: Jobs) -> None:
    for job in jobs:
        plain_torch.simulate(job.image, job.draw, find_recipe("sensor"))


def rivals(photos: Path, rounds: int, number: int) -> dict[str, Any]:
    """Samples a second of one core's time (all threads'), medians of rounds in turns, and shares.

    The processor's time, not the clock's: what else runs on the machine counts less.
    """
    on_one_core()
    jobs, numbers = jobs_of(photos, number), count()

    def whole_build() -> None:
        with tempfile.TemporaryDirectory(dir=photos.parent) as out:
            build = build_of(photos, Path(out), limit=number, shard_size=number)
            build_shard(tasks_of(build, seed=next(numbers))[0])

    runs: dict[str, Callable[[], object]] = {
        "decode and crop alone": lambda: decode_and_crop(jobs),
        "decode, crop, resize": lambda: list(dali_pipelines.read_crops(jobs, device="cpu")),
        "ours, JPEG to arrays": lambda: dispatch.run(jobs, find_recipe("sensor"), device="cpu"),
        "plain torch, JPEG to arrays": lambda: in_torch(jobs),
        "pure DALI graph, JPEG to arrays": lambda: in_graph(jobs),
        "ours, whole build": whole_build,
    }
    spent: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(rounds + 1):  # the first does not count
        for name, run in runs.items():
            start = time.process_time()
            run()
            if turn:
                spent[name].append(time.process_time() - start)
    rates = {name: number / statistics.median(times) for name, times in spent.items()}
    ours, build = rates["ours, JPEG to arrays"], rates["ours, whole build"]
    plain, dali = rates["plain torch, JPEG to arrays"], rates["pure DALI graph, JPEG to arrays"]
    shares = {
        "arrays / decode and crop (aim .6)": ours / rates["decode and crop alone"],
        "build / decode and crop (aim .6)": build / rates["decode and crop alone"],
        "arrays / plain torch (aim 3)": ours / plain,
        "arrays / pure DALI (aim 2.5)": ours / dali,
    }
    return {"samples a second and core": rounded(rates), "ratios": rounded(shares)}


def workers(photos: Path, rounds: int) -> dict[str, Any]:
    """Whole builds by one and by two processes, while all of them are at work.

    By the clock, and by the processors' time: its ratio is what two free cores would give.
    """
    clock: dict[int, list[float]] = {1: [], 2: []}
    cores: dict[int, list[float]] = {1: [], 2: []}
    for turn in range(rounds):
        for number in (1, 2):
            reports: list[tuple[float, float, int]] = []

            def report(
                progress: Progress, reports: list[tuple[float, float, int]] = reports
            ) -> None:
                reports.append((time.perf_counter(), processors_time(), progress.samples))

            with tempfile.TemporaryDirectory(dir=photos.parent) as out:
                build = build_of(photos, Path(out), shard_size=16, limit=256, seed=turn)
                before = os.sched_getaffinity(0)
                if number == 1:
                    on_one_core()
                run_build(build, workers=number, report=report)
                os.sched_setaffinity(0, before)
            first, last = reports[2 * number], reports[-number]
            made = last[2] - first[2]
            clock[number].append(made / (last[0] - first[0]))
            cores[number].append(made / (last[1] - first[1]))
    by_clock, by_cores = (
        [statistics.median(found) for found in rates.values()] for rates in (clock, cores)
    )
    names = ("one worker, one core", "two workers, two cores")
    return {
        "samples a second": rounded(dict(zip(names, by_clock, strict=True))),
        "two / one by the clock (aim 1.8)": round(by_clock[1] / by_clock[0], 2),
        "samples a second of a core's time": rounded(dict(zip(names, by_cores, strict=True))),
        "two / one by the cores' time (aim 1.8)": round(2 * by_cores[1] / by_cores[0], 2),
    }


def processors_time() -> float:
    """Seconds of this process and the workers it has now."""
    ticks = 0
    for child in multiprocessing.active_children():
        words = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(words[11]) + int(words[12])
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


def memory(photos: Path, number: int, tile: int) -> dict[str, Any]:
    """Resident memory of a worker over `number` samples, read ten times a second."""
    listed = sum(1 for _ in photos.glob("*.jpg"))
    with tempfile.TemporaryDirectory(dir=photos.parent) as out:
        options = {"--dataset": "folder", "--source": photos, "--out": f"{out}/s", "--bands": BANDS,
                   "--tile": tile, "--draws": -(-number // listed), "--limit": number}  # fmt: skip
        words = [str(word) for pair in options.items() for word in pair]
        command = [sys.executable, "-m", "simgen", "build", *words, "--quiet"]
        start = time.perf_counter()
        process = subprocess.Popen(command)
        seen: list[float] = []
        while process.poll() is None:
            try:
                pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
            except (OSError, IndexError):
                break
            seen.append(pages * os.sysconf("SC_PAGESIZE") / 2**20)
            time.sleep(0.1)
        if process.wait():
            raise RuntimeError("the build failed")
        seconds = time.perf_counter() - start
    half = np.array(seen[len(seen) // 2 : -5])
    slope = np.polyfit(np.linspace(0, number / 2, half.size), half, 1)[0] * 10_000
    return {
        "samples": number, "tile": tile, "seconds": round(seconds),
        "MiB at 10 %, 20 % ... 90 %": [round(seen[len(seen) * x // 10]) for x in range(1, 10)],
        "MiB at most (aim 1536)": round(max(seen)),
        "MiB more per 10,000 samples, second half": round(float(slope), 1),
    }  # fmt: skip


def writing(photos: Path, rounds: int) -> dict[str, Any]:
    """Our writer with samples at hand beside dd, both to fsync, in the same folder."""
    rng = np.random.default_rng(0)
    members = {"gt.npy": rng.bytes(2**20), "ms.npy": rng.bytes(2**16), "pan.npy": rng.bytes(2**17),
               "json": b"{}"}  # fmt: skip
    samples, spent = 256, {"dd": [], "ours": []}
    size = 0
    with tempfile.TemporaryDirectory(dir=photos.parent) as out:
        task = tasks_of(build_of(photos, Path(out)))[0]
        for _ in range(rounds):
            start = time.perf_counter()
            ready: Iterator[Any] = ((f"{i:09d}", members) for i in range(samples))
            size = write_shard(task, ready, reasons={}).row.bytes
            spent["ours"].append(time.perf_counter() - start)
            plain = Path(out) / "plain"
            start = time.perf_counter()
            subprocess.run(
                ["dd", "if=/dev/zero", f"of={plain}", "bs=1M", f"count={size >> 20}", "conv=fsync"],
                check=True, capture_output=True,
            )  # fmt: skip
            spent["dd"].append(time.perf_counter() - start)
            plain.unlink()
    rates = {name: size / 1e6 / statistics.median(times) for name, times in spent.items()}
    return {"MB/s": rounded(rates), "ours / dd (aim .8)": round(rates["ours"] / rates["dd"], 2)}


def compression(photos: Path, rounds: int, number: int) -> dict[str, Any]:
    """Size of arrays packed and plain, and megabytes (plain) of one core's second each way."""
    on_one_core()
    spent: dict[str, list[float]] = {"pack": [], "unpack": [], "decode plain": []}
    with tempfile.TemporaryDirectory(dir=photos.parent) as out:
        build = build_of(photos, Path(out), limit=number, shard_size=number)
        row = build_shard(tasks_of(build)[0]).row
        plain = [members for _, members in read_samples(Path(out) / row.name)]
    packed = [packed_members(members) for members in plain]
    runs: dict[str, Callable[[], object]] = {
        "pack": lambda: [packed_members(members) for members in plain],
        "unpack": lambda: [plain_members(members) for members in packed],
        "decode plain": lambda: [decode_sample(members) for members in plain],
    }
    for _ in range(rounds):
        for name, run in runs.items():
            start = time.process_time()
            run()
            spent[name].append(time.process_time() - start)
    size, small = (sum(len(d) for m in some for d in m.values()) for some in (plain, packed))
    rates = {name: size / 1e6 / statistics.median(times) for name, times in spent.items()}
    return {"packed / plain": round(small / size, 3), "MB a second": rounded(rates)}


def rounded(figures: dict[str, float]) -> dict[str, float]:
    return {name: float(f"{value:.3g}") for name, value in figures.items()}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--samples", type=int, default=48)
    parser.add_argument("--photos", type=Path, help="a folder of 500x375 JPEGs; default: made")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--memory", type=int, default=20_000, metavar="N", help="samples")
    parser.add_argument("--tile", type=int, default=64, help="of --memory")
    parser.add_argument("--quick", action="store_true", help="no aim, no record")
    args = parser.parse_args(argv)
    aims: list[Aim] = []
    with tempfile.TemporaryDirectory(prefix="panprior-bench-") as root:
        photos = args.photos or Path(root) / "photos"
        photos.mkdir(exist_ok=True)
        what = "given" if args.photos else make_photos(photos, 400)
        parts: dict[str, Callable[[], dict[str, Any]]] = {
            "rivals": lambda: rivals(photos, args.rounds, args.samples),
            "workers": lambda: workers(photos, args.rounds),
            "memory": lambda: memory(photos, args.memory, args.tile),
            "writing": lambda: writing(photos, args.rounds),
            "compression": lambda: compression(photos, args.rounds, args.samples),
        }
        print(f"sensor, {BANDS} bands, 256x256, ratio 4, from 500x375 JPEGs ({what})")
        for name in args.only:
            before = os.sched_getaffinity(0)
            figures = parts[name]()
            os.sched_setaffinity(0, before)
            show(name, figures)
            if args.quick:
                continue
            aims += named_aims(name, figures)
            record(f"simgen {name}", figures | {"photographs": what}, command=command_line(),
                   libraries=LIBRARIES)  # fmt: skip
    return verdict(aims)


if __name__ == "__main__":
    raise SystemExit(main())
