"""Fuse PAN and MS into one file: the MS's bands on the PAN's grid.

PAN, MS and OUT as gdal_pansharpen takes them; MS may be several files, one a band. Inputs are
what GDAL reads: GeoTIFF, COG, JP2, VRT, /vsi..., https://. Exit codes: 0 done; 2 bad input or a
full disk, with one line that says what to do; 128 + N stopped by signal N; nothing is half-written.
"""

import argparse
import time
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from fusiontrain.commands.choices import (
    CLASSICAL_NAMES,
    FORMATS,
    MATCH_LIMIT,
    MEMORY,
    NETWORK,
    SHIPPED_WEIGHTS,
    nodata_value,
)
from fusiontrain.commands.fuse_checks import DTYPES, refuse_early
from fusiontrain.commands.fuse_values import parse_softness, parse_threads
from fusiontrain.errors import InterruptedBySignal, SceneError
from shards.command_line import PlainFlags, with_flags
from shards.console import print_error, print_result
from shards.signals import stoppable

if TYPE_CHECKING:
    from fusiontrain.fusion.fuse_scene import InputFiles
    from fusiontrain.fusion.options import FusionOptions
    from fusiontrain.scenes.writer import Output


def make_parser() -> PlainFlags:
    parser = PlainFlags(prog="fusiontrain fuse", description=__doc__)
    parser.add_argument("pan", help="PAN file")
    parser.add_argument("ms", nargs="+", help="MS file, or one file a band in order")
    parser.add_argument("out", type=Path, help="file to write")
    _add_method(parser.add_argument_group("fusion"))
    _add_inputs(parser.add_argument_group("inputs"))
    _add_output(parser.add_argument_group("output"))
    _add_running(parser.add_argument_group("running"))
    return parser


def _add_method(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--method",
        default=NETWORK,
        metavar="NAME",
        help=f"{NETWORK} (a network), {', '.join(CLASSICAL_NAMES)}; NAME-soft: of a softened PAN",
    )
    group.add_argument(
        "--weights",
        type=Path,
        metavar="PATH",
        help=f"the network: {', '.join(SHIPPED_WEIGHTS)} or a .safetensors file "
        f"(default: {SHIPPED_WEIGHTS[0]})",
    )
    group.add_argument("--model", metavar="NAME", help="refuse weights of any other model")
    group.add_argument(
        "--sensor",
        default="auto",
        metavar="NAME|FILE.toml",
        help="a sensor with a published MTF; auto: estimate the MTF on the scene",
    )
    group.add_argument(
        "--softness",
        default="auto",
        metavar="X",
        help="blur of the fused image, 0.05 (soft) to 0.95 (crisp); auto: as the MS itself, or 0.3 "
        "if that is crisper; bands: the same for each band",
    )
    group.add_argument(
        "--adapt",
        metavar="SECONDS",
        help="tune the network on the scene itself, by Wald's protocol, for about so long "
        "(40steps: exactly so long); kept only if it helps on pixels held out",
    )


def _add_inputs(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        *("-b", "--bands"),
        action="append",
        default=[],
        metavar="N",
        help="bands of the MS to fuse: 3,2,1, or -b 3 -b 2 -b 1",
    )
    group.add_argument(
        *("--bbox", "-te"),
        nargs=4,
        type=float,
        metavar=("LEFT", "BOTTOM", "RIGHT", "TOP"),
        help="part of the scene to fuse, in the PAN's CRS, by its own statistics",
    )
    group.add_argument(
        "--assume-aligned",
        action="store_true",
        help="files without a geotransform cover the same ground",
    )
    group.add_argument(
        "--match",
        action="store_true",
        help="estimate a large shift, of MS pixels, and move the MS by it",
    )
    group.add_argument(
        "--register",
        choices=("auto", "off"),
        default="auto",
        help="auto: estimate the shift between PAN and MS, and move the PAN to the MS",
    )
    group.add_argument(
        "--match-limit",
        type=float,
        default=MATCH_LIMIT,
        metavar="X",
        help="largest shift that --match takes, MS pixels",
    )


def _add_output(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        *("--format", "-of"), choices=FORMATS, default="COG", help="format of the file"
    )
    group.add_argument(
        *("--dtype", "-ot"),
        type=str.lower,
        metavar="TYPE",
        help=f"{', '.join(DTYPES)} (default: the MS's)",
    )
    group.add_argument(
        *("--nodata", "-nodata"),
        type=nodata_value,
        metavar="X",
        help="value that marks missing pixels in PAN, MS and output (none: no value does; default: "
        "the files' own)",
    )
    group.add_argument(
        *("--creation-option", "-co"),
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="creation option of GDAL's driver",
    )


def _add_running(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--device", default="auto", metavar="NAME", help="auto, cpu, cuda or cuda:1")
    group.add_argument(
        *("--threads", "-threads"), metavar="N", help="threads of the CPU: a number, or ALL_CPUS"
    )
    group.add_argument(
        "--memory", type=float, default=MEMORY, metavar="GIB", help="GiB that windows may take"
    )
    group.add_argument(
        "--window",
        type=int,
        metavar="N",
        help="side of a window, PAN pixels (default: as --memory allows)",
    )
    group.add_argument(
        "--bf16", action="store_true", help="half precision, where it is exact enough"
    )
    group.add_argument(
        "--dry-run", action="store_true", help="print plan, memory and time; write nothing"
    )
    group.add_argument("--json", type=Path, metavar="FILE", help="write a report")
    group.add_argument("--quiet", "-q", action="store_true", help="print errors only")


def run(args: Namespace) -> int:
    with stoppable(InterruptedBySignal):
        refuse_early(args)
    # Here, not above: torch and rasterio only after the flags are right.
    from fusiontrain.commands.fuse_printing import check_paths, print_plan, progress, write_report
    from fusiontrain.fusion.fuse_scene import fuse_to_file, open_job
    from fusiontrain.fusion.make_fuser import make_fuser
    from fusiontrain.fusion.quality_sampler import QualitySampler
    from fusiontrain.scenes.output_values import output_nodata
    from fusiontrain.scenes.writer import check_output

    started = time.monotonic()

    def say(line: str) -> None:
        if not args.quiet:
            print_result(f"fusiontrain: {line}")

    with stoppable(InterruptedBySignal):
        inputs, options, threads = read_arguments(args)
        output = read_output(args, threads)
        with open_job(inputs, make_fuser(options), options, threads=threads) as job:
            check_paths(args.out, args.json, job.pair)
            dtype = output.dtype or job.pair.dtype
            check_output(output, job.pair)
            _, changed = output_nodata(job.pair.nodata, dtype, output.nodata)
            for line in filter(None, (*job.notes, changed)):
                say(line)
            for line in job.warnings:
                print_error("fusiontrain", f"warning: {with_flags(line, make_parser().flags)}")
            if args.dry_run:
                print_plan(job, output, dtype)
                return 0
            opened = time.monotonic()
            if options.adapt is not None:
                from fusiontrain.training.adaptation import adapted  # fusing needs no training

                job = adapted(job)  # noqa: PLW2901
            if job.adaptation is not None:
                say(str(job.adaptation))
            ready = time.monotonic()
            sampler = QualitySampler(job.pair, job.plan.windows) if args.json else None
            with progress(job, quiet=args.quiet) as (statistics, advance):
                fuse_to_file(job, output, sampler=sampler, statistics=statistics, advance=advance)
            fused = time.monotonic()
            seconds = {"opening": opened - started, "fusing": fused - ready}
            if job.adaptation is not None:
                seconds["adapting"] = ready - opened
            if sampler is not None:
                write_report(args.json, job, output.path, sampler, seconds)
        h, w = (side * job.pair.ratio for side in job.pair.shape)
        speed = job.plan.megapixels / max(fused - ready, 1e-9)
        say(f"wrote {args.out}: {job.pair.bands} x {h} x {w}, {dtype}, {speed:.2f} Mpix/s")
    return 0


def read_arguments(args: Namespace) -> "tuple[InputFiles, FusionOptions, int]":
    """Input files, options and threads. Raises: SceneError naming the parameter."""
    from fusiontrain.fusion.fuse_scene import InputFiles, use_threads
    from fusiontrain.fusion.options import AdaptationBudget, FusionOptions

    try:
        bands = tuple(band for text in args.bands for band in map(int, text.split(",")))
    except ValueError:
        raise SceneError(f"`bands` is numbers from 1, as in 3,2,1; got {args.bands}") from None
    if args.match_limit <= 0 or args.memory <= 0:
        raise SceneError("`match_limit` and `memory` are larger than 0")
    inputs = InputFiles(
        pan=args.pan,
        ms=tuple(args.ms),
        bands=bands,
        bbox=None if args.bbox is None else tuple(args.bbox),
        assume_aligned=args.assume_aligned,
        match=args.match,
        match_limit=args.match_limit,
        nodata=args.nodata,
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
        window=args.window,
    )
    return inputs, options, use_threads(parse_threads(args.threads))


def read_output(args: Namespace, threads: int) -> "Output":
    """Raises: SceneError naming the parameter."""
    import numpy as np

    from fusiontrain.scenes.writer import Output

    name = "uint8" if args.dtype == "byte" else args.dtype  # GDAL's name
    return Output(
        path=args.out,
        format=args.format,
        dtype=None if name is None else np.dtype(name),
        nodata=None if args.nodata == "none" else args.nodata,
        options=dict(text.split("=", 1) for text in args.creation_option),
        threads=threads,
    )
