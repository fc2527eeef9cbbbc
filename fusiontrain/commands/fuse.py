"""Fuse PAN and MS into one file: the MS's bands on the PAN's grid.

PAN, MS and OUT as gdal_pansharpen takes them; MS may be several files, one a band. Inputs are
what GDAL reads: GeoTIFF, COG, JP2, VRT, /vsi..., https://. Exit codes: 0 done; 2 bad input or a
full disk, with one line that says what to do; 128 + N stopped by signal N; nothing is half-written.
"""

import argparse
import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from fusiontrain.errors import InterruptedBySignal, SceneError
from fusiontrain.fusion.fuse_scene import (
    FusionJob,
    InputFiles,
    fuse_to_file,
    open_job,
    use_threads,
)
from fusiontrain.fusion.fusion_report import fusion_report
from fusiontrain.fusion.make_fuser import make_fuser
from fusiontrain.fusion.options import (
    MEMORY,
    NETWORK,
    AdaptationBudget,
    FusionOptions,
    method_names,
)
from fusiontrain.fusion.quality_sampler import QualitySampler
from fusiontrain.scenes.grid_alignment import MATCH_LIMIT
from fusiontrain.scenes.output_values import output_nodata
from fusiontrain.scenes.writer import FORMATS, Output
from shards.atomic_write import whole_file
from shards.signals import stoppable

_DTYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = __doc__
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("pan")
    parser.add_argument("ms", nargs="+", help="one file, or one a band in order")
    parser.add_argument("out", type=Path)
    how = parser.add_argument_group("fusion")
    how.add_argument(
        "--method", default=NETWORK, help=f"{NETWORK}, or {', '.join(sorted(method_names()))}"
    )
    how.add_argument(
        "--weights", type=Path, help="default or small, which are shipped, or a .safetensors file"
    )
    how.add_argument("--model", help="refuse weights of any other model")
    how.add_argument(
        "--sensor", default="auto", help="a name or FILE.toml: its published MTF; auto: measured"
    )
    how.add_argument(
        "--softness",
        default="auto",
        help="0.05 (soft) to 0.95 (crisp); auto: as the MS itself, or 0.3 if that is crisper; "
        "bands: as each of its bands, likewise",
    )
    how.add_argument(
        "--adapt",
        metavar="SECONDS",
        help="let the network learn from the scene itself, by Wald's protocol, for about so long "
        "(40steps: exactly so long); kept only if it helps on pixels held out",
    )
    inputs = parser.add_argument_group("inputs")
    inputs.add_argument(
        *("-b", "--bands"), action="append", default=[], help="3,2,1, or -b 3 -b 2 -b 1"
    )
    inputs.add_argument(
        *("--bbox", "-te"),
        nargs=4,
        type=float,
        metavar=("LEFT", "BOTTOM", "RIGHT", "TOP"),
        help="in the PAN's CRS; fused by its own statistics",
    )
    inputs.add_argument(
        "--assume-aligned",
        action="store_true",
        help="files without a geotransform cover the same ground",
    )
    inputs.add_argument(
        "--match",
        action="store_true",
        help="measure a large shift, of MS pixels, and move MS by it",
    )
    inputs.add_argument(
        "--register",
        choices=("auto", "off"),
        default="auto",
        help="auto: measure by how much PAN and MS miss each other, and move PAN to the MS",
    )
    inputs.add_argument("--match-limit", type=float, default=MATCH_LIMIT, help="MS pixels")
    output = parser.add_argument_group("output")
    output.add_argument("--format", "-of", choices=FORMATS, default="COG")
    output.add_argument("--dtype", "-ot", type=str.lower, help="default: the MS's")
    output.add_argument("--nodata", "-nodata", type=float)
    output.add_argument(
        *("--creation-option", "-co"), action="append", default=[], metavar="NAME=VALUE"
    )
    run = parser.add_argument_group("running")
    run.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1")
    run.add_argument("--threads", "-threads", help="a number, or ALL_CPUS")
    run.add_argument("--memory", type=float, default=MEMORY, help="GiB that windows may take")
    run.add_argument("--window", type=int, help="PAN pixels a side; default: by memory")
    run.add_argument("--bf16", action="store_true", help="half precision, where it is exact enough")
    run.add_argument("--dry-run", action="store_true", help="plan, memory and time; write nothing")
    run.add_argument("--json", type=Path, metavar="FILE", help="write a report")
    run.add_argument("--quiet", "-q", action="store_true")


def run(args: argparse.Namespace) -> int:
    started = time.monotonic()
    with stoppable(InterruptedBySignal):
        inputs, options, threads = read_arguments(args)
        output = _output(args, threads)
        fuser = make_fuser(options)
        with open_job(inputs, fuser, options, threads=threads) as opened:
            ready = opened
            for line in ready.notes:
                _say(args, line)
            dtype = output.dtype or ready.pair.dtype
            _, changed = output_nodata(ready.pair.nodata, dtype, output.nodata)
            if changed:
                _say(args, changed)
            if args.dry_run:
                _print_plan(ready, output, dtype)
                return 0
            learned = time.monotonic()
            if options.adapt is not None:
                from fusiontrain.training.adaptation import adapted  # fusing needs no training

                ready = adapted(ready)
            if ready.adaptation is not None:
                _say(args, str(ready.adaptation))
            tuned = time.monotonic()
            sampler = None
            if args.json is not None:
                sampler = QualitySampler(ready.pair, ready.plan.windows)
            with _bar(args, ready) as (first, then):
                fuse_to_file(ready, output, sampler=sampler, statistics=first, advance=then)
            fused = time.monotonic()
            seconds = {"opening": learned - started, "fusing": fused - tuned}
            if ready.adaptation is not None:
                seconds["adapting"] = tuned - learned
            if sampler is not None:
                report = fusion_report(ready, output.path, sampler, seconds)
                with whole_file(args.json) as file:
                    file.write(json.dumps(report, indent=2).encode() + b"\n")
        h, w = (side * ready.pair.ratio for side in ready.pair.shape)
        speed = ready.plan.megapixels / max(fused - tuned, 1e-9)
        _say(args, f"wrote {args.out}: {ready.pair.bands} x {h} x {w}, {dtype}, {speed:.2f} Mpix/s")
    return 0


def read_arguments(args: argparse.Namespace) -> tuple[InputFiles, FusionOptions, int]:
    """Checked. Raises: SceneError naming the flag."""
    try:
        bands = tuple(band for text in args.bands for band in map(int, text.split(",")))
    except ValueError:
        raise SceneError(f"--bands is numbers from 1, as in 3,2,1; got {args.bands}") from None
    if args.match_limit <= 0 or args.memory <= 0:
        raise SceneError("--match-limit and --memory are larger than 0")
    inputs = InputFiles(
        pan=args.pan,
        ms=tuple(args.ms),
        bands=bands,
        bbox=None if args.bbox is None else tuple(args.bbox),
        assume_aligned=args.assume_aligned,
        match=args.match,
        match_limit=args.match_limit,
    )
    options = FusionOptions(
        method=args.method.lower(),
        weights=args.weights,
        model=args.model,
        sensor=args.sensor,
        softness=parse_softness(args.softness),
        register=args.register == "auto",
        adapt=AdaptationBudget.of(args.adapt),
        device=args.device,
        bf16=args.bf16,
        memory=args.memory,
        core=args.window,
    )
    return inputs, options, use_threads(_threads(args.threads))


def parse_softness(text: str) -> float | Literal["bands"] | None:
    """None for auto; FusionOptions refuses what is neither a number nor a word it takes."""
    if text == "auto":
        return None
    try:
        return float(text)
    except ValueError:
        return cast("Literal['bands']", text)


def _threads(text: str | None) -> int | None:
    if text is None:
        return None
    if text.upper() == "ALL_CPUS":
        import os

        return os.cpu_count() or 1
    if not text.isdigit() or not 1 <= int(text) <= 1024:
        raise SceneError(f"--threads is a number from 1, or ALL_CPUS; got {text!r}")
    return int(text)


def _output(args: argparse.Namespace, threads: int) -> Output:
    odd = [text for text in args.creation_option if not text.partition("=")[2]]
    if odd:
        raise SceneError(f"-co, --creation-option is NAME=VALUE; got {odd[0]!r}")
    if args.dtype is not None and args.dtype not in (*_DTYPES, "byte"):
        raise SceneError(f"--dtype is one of {', '.join(_DTYPES)}; got {args.dtype!r}")
    name = "uint8" if args.dtype == "byte" else args.dtype  # GDAL's name
    return Output(
        path=args.out,
        format=args.format,
        dtype=None if name is None else np.dtype(name),
        nodata=args.nodata,
        options=dict(text.split("=", 1) for text in args.creation_option),
        threads=threads,
    )


def _say(args: argparse.Namespace, line: str) -> None:
    if not args.quiet:
        print(f"fusiontrain: {line}", flush=True)


@contextmanager
def _bar(args: argparse.Namespace, ready: FusionJob) -> Iterator[Any]:
    """Two callbacks: of a window of the first pass, and of pixels done."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}% {task.fields[speed]}"),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True, quiet=args.quiet)
    with Progress(*columns, console=console) as bar:
        total = round(ready.plan.megapixels * 1e6)
        first = bar.add_task("statistics", total=None, speed="")
        then = bar.add_task("fusing", total=total, speed="", start=False)
        done, since = 0, 0.0

        def fused(pixels: int) -> None:
            nonlocal done, since
            done += pixels
            since = since or time.monotonic()
            speed = done / 1e6 / max(time.monotonic() - begun, 1e-6)
            bar.start_task(then)
            bar.update(then, completed=done, speed=f"{speed:.2f} Mpix/s")

        begun = time.monotonic()
        yield lambda: bar.advance(first), fused


def _print_plan(ready: FusionJob, output: Output, dtype: np.dtype) -> None:
    plan, pair = ready.plan, ready.pair
    raw = plan.megapixels * pair.bands * dtype.itemsize / 1000
    room = raw * (2.4 if output.format == "COG" else 1)
    print(
        f"plan: {ready.fuser.name} on {ready.fuser.device}: {plan.windows} windows of {plan.core} "
        f"PAN pixels and {plan.halo} around them\n"
        f"memory: about {plan.memory:.1f} GiB\n"
        f"time: about {_span(plan.seconds)} on a CPU\n"
        f"disk: up to {room:.2f} GB while writing {output.format}, {raw:.2f} GB of pixels {dtype}\n"
        f"nothing is written (--dry-run)"
    )


def _span(seconds: float) -> str:
    seconds = math.ceil(seconds)
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min"
