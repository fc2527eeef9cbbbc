"""Shards read by ours, by plain webdataset, by a DataLoader over files, beside a memcpy; training.

python -m bench.speed.reader [--rounds 7] [--tiles 192] [--training] [--record]
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import torch
import webdataset as wds
from torch.utils.data import DataLoader, Dataset

from bench.speed.aims import reader_aims, verdict
from bench.speed.record import command_line, record
from fusiontrain.data.dataset import IndexedShards
from fusiontrain.data.loader import BatchLoader
from fusiontrain.data.shard_file import ShardRef, forget_open
from fusiontrain.data.shard_integrity import ShardSet
from fusiontrain.data.shard_stream import read_shard
from shards.index import dali_index
from shards.manifest import Manifest, ShardRow, file_sha256
from shards.schema import Facts, encode_array
from shards.tar import write_samples

BANDS, TILE, RATIO, CROP, BATCH, SHARDS = 8, 256, 4, 128, 16, 4
Members = dict[str, bytes]


def make_tiles(count: int) -> Iterator[tuple[str, Members]]:
    """Noise of 11 bits: what it shows is nothing to a reader."""
    rng, small = np.random.default_rng(0), TILE // RATIO
    gains = (0.3,) * BANDS
    facts = Facts(
        sensor="draw", bits=11, ratio=RATIO, mtf_ms=gains, mtf_pan=0.15, softness=gains,
        source="noise", recipe="bench", seed=0,
    ).to_json()  # fmt: skip
    shapes = {"gt": (BANDS, TILE, TILE), "ms": (BANDS, small, small), "pan": (1, TILE, TILE)}
    for i in range(count):
        arrays = {
            f"{name}.npy": encode_array(rng.integers(0, 2048, shape, dtype=np.uint16))
            for name, shape in shapes.items()
        }
        yield f"tile{i:06d}", arrays | {"json": facts}


def build(folder: Path, files: Path, count: int) -> int:
    """The same tiles as a build and as files of their own; bytes of pixels."""
    rows, pixels = [], 0
    samples = list(make_tiles(count))
    for n in range(SHARDS):
        tar = folder / f"shard-{n:06d}.tar"
        mine = samples[n::SHARDS]
        with tar.open("wb") as file:
            places = write_samples(file, mine)
        index = tar.with_suffix(".idx")
        index.write_bytes(dali_index(places))
        hashes = {"sha256": file_sha256(tar), "index_sha256": file_sha256(index)}
        size = tar.stat().st_size
        rows.append(ShardRow(name=tar.name, samples=len(mine), bytes=size, bands=BANDS, **hashes))
    for key, members in samples:
        for name, data in members.items():
            (files / f"{key}.{name}").write_bytes(data)
            pixels += len(data) - 128 if name != "json" else 0
    Manifest(
        recipe="bench", recipe_hash="", recipe_data={}, seed=0, tile=TILE, ratio=RATIO,
        source="noise", licence="", libraries={}, shards=tuple(rows),
    ).dump(folder)  # fmt: skip
    return pixels


class Files(Dataset[tuple[np.ndarray, ...]]):
    """Tiles as one would keep them without shards."""

    def __init__(self, folder: Path) -> None:
        self.stems = sorted(str(p).removesuffix(".json") for p in folder.glob("*.json"))

    def __len__(self) -> int:
        return len(self.stems)

    def __getitem__(self, i: int) -> tuple[np.ndarray, ...]:
        stem = self.stems[i]
        arrays = [np.load(f"{stem}.{name}.npy") for name in ("gt", "ms", "pan")]
        facts = json.loads(Path(f"{stem}.json").read_bytes())
        return (*arrays, np.float32(facts["mtf_ms"]), np.float32(facts["softness"]))


def indexed(folder: Path, *, crop: int, turned: bool) -> IndexedShards:
    sets = [ShardSet(folder=folder)]
    return IndexedShards(sets, batch=BATCH, crop=crop, seed=0, turned=turned)


def drain(items: Iterable[object], count: int) -> None:
    for _ in islice(items, count):
        pass


def in_process(folder: Path, files: Path, count: int) -> dict[str, Callable[[], None]]:
    """Each reads all tiles once (a crop of each where it says so), in this process."""
    whole = indexed(folder, crop=TILE, turned=False)
    crops = indexed(folder, crop=CROP, turned=True)
    tars = [str(p) for p in sorted(folder.glob("*.tar"))]
    manifest = Manifest.load(folder)
    listed = [ShardRef(folder=folder, manifest=manifest, row=row) for row in manifest.shards]
    source = {d.nbytes: np.ones((count // BATCH, d.nbytes), np.uint8) for d in (whole, crops)}

    def ours(data: IndexedShards, *, first: bool) -> Callable[[], None]:
        block = data.new_block()

        def run() -> None:
            if first:
                forget_open()  # nothing is mapped yet
            for k in range(count // BATCH):
                data.read(k, block)

        return run

    def copy(data: IndexedShards) -> Callable[[], None]:
        block = data.new_block().numpy()

        def run() -> None:
            for row in source[data.nbytes]:
                block[:] = row

        return run

    def pread() -> None:
        block = whole.new_block().numpy()
        for one in listed:
            with one.path.open("rb", buffering=0) as file:
                while file.readinto(block):
                    pass

    return {
        "tiles: ours, in batches, first pass": ours(whole, first=True),
        "tiles: ours, in batches, later passes": ours(whole, first=False),
        "tiles: plain webdataset .decode()": lambda: drain(
            wds.WebDataset(tars, shardshuffle=False).decode(), count
        ),
        "tiles: fusiontrain/data/stream.py (webdataset, checked)": lambda: (
            [drain(read_shard(one), count) for one in listed] and None
        ),
        "tiles: DataLoader over .npy files, in batches": lambda: drain(
            DataLoader(Files(files), batch_size=BATCH, shuffle=True), count
        ),
        "tiles: the tars by read(), from the page cache": pread,
        "tiles: memcpy": copy(whole),
        "crops: ours, turned, in batches, first pass": ours(crops, first=True),
        "crops: ours, turned, in batches, later passes": ours(crops, first=False),
        "crops: the same as float tensors": lambda: drain(
            BatchLoader(crops, start=0, workers=0), count // BATCH
        ),
        "crops: memcpy": copy(crops),
    }


def with_a_worker(folder: Path, files: Path, count: int) -> dict[str, float]:
    """Seconds a sample from one worker process, its start left out."""
    tars = [str(p) for p in sorted(folder.glob("*.tar"))]
    plain = wds.WebDataset(tars, shardshuffle=False).decode().batched(BATCH)
    feeds: dict[str, Iterable[object]] = {
        "ours, tiles": BatchLoader(indexed(folder, crop=TILE, turned=False), start=0, workers=1),
        "ours, crops": BatchLoader(indexed(folder, crop=CROP, turned=True), start=0, workers=1),
        "plain webdataset, tiles": wds.WebLoader(plain, batch_size=None, num_workers=1),
        "DataLoader over files, tiles": DataLoader(Files(files), batch_size=BATCH, num_workers=1),
    }
    found = {}
    skip = 6  # batches: the queue was filled while the worker started
    for name, feed in feeds.items():
        running = iter(feed)
        drain(running, skip)
        begun = time.perf_counter()
        drain(running, count // BATCH - skip)
        found[name] = (time.perf_counter() - begun) / (count - skip * BATCH)
        del running
    return found


def training(folder: Path, rounds: int) -> dict[str, float]:
    """Steps a second of the default network: on shards, and on one batch held in memory."""
    from fusiontrain.models.registry import build_model
    from fusiontrain.training.losses import relative_l1

    data = IndexedShards([ShardSet(folder=folder)], batch=8, crop=CROP, seed=0)
    torch.manual_seed(0)
    net = build_model("anyband")
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-4)
    held = data[0]
    feeds = {f"shards, {w} workers": iter(BatchLoader(data, start=0, workers=w)) for w in (0, 1)}
    spent: dict[str, list[float]] = {name: [] for name in ("one batch in memory", *feeds)}
    waited: dict[str, list[float]] = {name: [] for name in feeds}
    for turn in range(rounds + 1):
        for name, seconds in spent.items():
            begun, wait = time.perf_counter(), 0.0
            for _ in range(3):
                before = time.perf_counter()
                batch = next(feeds[name]) if name in feeds else held
                wait += time.perf_counter() - before
                loss = relative_l1(net(batch.inputs), batch.truth, batch.inputs.ms)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
            if turn:  # the first is a warm-up
                seconds.append((time.perf_counter() - begun) / 3)
                if name in waited:
                    waited[name].append(wait / 3 / seconds[-1])
    rates = {name: 1 / statistics.median(seconds) for name, seconds in spent.items()}
    shares = {f"data wait, {name}": statistics.median(one) for name, one in waited.items()}
    return rates | shares


def processes(folder: Path, steps: int = 24) -> dict[str, float]:
    """Crops a second of whole runs on two cores: one process, and two over gloo; in turns."""
    common = ["--shards", str(folder), "--batch-size", "8", "--max-steps", str(steps)]
    common += ["--log-steps", str(steps), "--tracker", "none"]
    alone = [sys.executable, "-m", "fusiontrain", "pretrain"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    together = ["env", "ACCELERATE_USE_CPU=true", *torchrun, "fusiontrain/pretrain.py"]
    found: dict[str, list[float]] = {"one process": [], "two processes, gloo": []}
    for turn in range(2):
        for name, command in zip(found, (alone, together), strict=True):
            out = folder / f"run-{turn}-{len(command)}"
            subprocess.run([*command, *common, "--out", str(out)], check=True, capture_output=True)
            header, *_, last = (out / "log.csv").read_text().splitlines()
            row = dict(zip(header.split(","), last.split(","), strict=True))
            found[name].append(float(row["crops_per_second"]))
    return {name: statistics.median(rates) for name, rates in found.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--tiles", type=int, default=192)
    parser.add_argument("--training", action="store_true", help="also what training gets of it")
    parser.add_argument("--record", action="store_true", help="into bench/results.json")
    args = parser.parse_args()
    figures: dict[str, object] = {}
    cores = torch.get_num_threads()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        folder, files = Path(scratch) / "shards", Path(scratch) / "files"
        folder.mkdir()
        files.mkdir()
        pixels = build(folder, files, args.tiles)
        cropped = pixels * CROP**2 // TILE**2
        runs = in_process(folder, files, args.tiles)
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        for turn in range(args.rounds + 1):
            for name, run in runs.items():
                begun = time.process_time()  # of this one thread: others may run beside it
                run()
                if turn:
                    seconds[name].append(time.process_time() - begun)
        median = {name: statistics.median(each) for name, each in seconds.items()}
        print("| reader, one process | MB/s | samples/s | x webdataset | x memcpy |")
        print("|---|---:|---:|---:|---:|")
        plain = median["tiles: plain webdataset .decode()"]
        for name, each in median.items():
            size = pixels if name.startswith("tiles") else cropped
            kind = name.partition(":")[0]
            row = {
                "MB/s": size / each / 1e6,
                "samples/s": args.tiles / each,
                "x webdataset": plain / each,
                "x memcpy": median[f"{kind}: memcpy"] / each,
            }
            figures[name] = row
            shown = f"{row['MB/s']:.0f} | {row['samples/s']:.0f} | {row['x webdataset']:.1f}"
            print(f"| {name} | {shown} | {row['x memcpy']:.2f} |", flush=True)
        turns = [with_a_worker(folder, files, args.tiles) for _ in range(min(3, args.rounds))]
        for name in turns[0]:
            rate = 1 / statistics.median(turn[name] for turn in turns)
            figures[f"one worker: {name}, samples/s"] = rate
            print(f"one worker: {name}: {rate:.0f} samples/s", flush=True)
        if args.training:
            torch.set_num_threads(cores)
            for name, value in (training(folder, args.rounds) | processes(folder)).items():
                figures[f"training: {name}"] = value
                print(f"training: {name}: {value:.4g}", flush=True)
    if args.record:
        libraries = ("torch", "numpy", "webdataset")
        record("reader", figures, command=command_line(), libraries=libraries)
    return verdict(reader_aims(figures) if args.rounds > 1 else ())


if __name__ == "__main__":
    raise SystemExit(main())
