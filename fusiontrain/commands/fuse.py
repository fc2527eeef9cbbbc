"""Fuse PAN and MS into one file: the MS's bands on the PAN's grid.

PAN, MS and OUT as gdal_pansharpen takes them; MS may be several files, one a band. Inputs are
what GDAL reads: GeoTIFF, COG, JP2, VRT, /vsi..., https://. Exit codes: 0 done; 2 bad input or a
full disk, with one line that says what to do; 128 + N stopped by signal N; nothing is half-written.
"""

import time
from argparse import Namespace
from typing import TYPE_CHECKING

from fusiontrain.commands.fuse_checks import refuse_early
from fusiontrain.commands.fuse_flags import fuse_parser
from fusiontrain.commands.fuse_values import parse_bands, parse_softness, parse_threads
from fusiontrain.errors import InterruptedBySignal
from shards.command_line import PlainFlags, with_flags
from shards.console import print_error, print_result
from shards.signals import stoppable

if TYPE_CHECKING:
    from fusiontrain.fusion.fuse_scene import InputFiles
    from fusiontrain.fusion.options import FusionOptions
    from fusiontrain.scenes.writer import Output


def make_parser() -> PlainFlags:
    return fuse_parser(__doc__)


def run(args: Namespace) -> int:
    with stoppable(InterruptedBySignal):
        refuse_early(args)
    # Here, not above: torch and rasterio only after the flags are right.
    from fusiontrain.commands.fuse_printing import check_paths, print_plan, progress, write_report
    from fusiontrain.fusion.fuse_scene import fuse_to_file, open_job
    from fusiontrain.fusion.make_fuser import make_fuser
    from fusiontrain.fusion.output_frame import in_output_frame
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
            # Scored where the result lies: beside the MS as it was moved.
            scene, _ = in_output_frame(job.pair, job.sensor_model)
            sampler = QualitySampler(scene, job.plan.windows) if args.json else None
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

    inputs = InputFiles(
        pan=args.pan,
        ms=tuple(args.ms),
        bands=parse_bands(args.bands),
        bbox=None if args.bbox is None else tuple(args.bbox),
        assume_aligned=args.assume_aligned,
        match=args.match,
        match_limit=args.match_limit,
        nodata=args.nodata,
    )
    options = FusionOptions(
        method=args.method.lower(),
        weights=args.weights,
        target=args.target,
        model=args.model,
        sensor=args.sensor,
        softness=parse_softness(args.softness),
        register=args.register == "auto",
        local_shift=args.local_shift == "auto",
        frame=args.frame,
        adapt=AdaptationBudget.of(args.adapt),
        quality=args.quality,
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
