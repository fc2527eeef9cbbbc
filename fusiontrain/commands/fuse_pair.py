"""One pair fused, as `fuse` does it: opened, said, planned or fused, written and reported."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fusiontrain.commands.fuse_printing import (
    check_paths,
    print_plan,
    progress,
    say_progress,
    write_report,
)
from fusiontrain.fusion.fuse_scene import FusionJob, InputFiles, fuse_to_file, open_job
from fusiontrain.fusion.fuser import Fuser
from fusiontrain.fusion.options import FusionOptions
from fusiontrain.fusion.output_frame import in_output_frame
from fusiontrain.fusion.prepared_output import prepared
from fusiontrain.fusion.quality_sampler import QualitySampler
from fusiontrain.scenes.band_colours import rgb_bands
from fusiontrain.scenes.output_values import output_nodata
from fusiontrain.scenes.quicklook import write_quicklook
from fusiontrain.scenes.writer import Output, check_output
from shards.command_line import with_flags
from shards.console import print_error, print_result
from shards.progress_lines import ProgressLines


@dataclass(frozen=True, kw_only=True, slots=True)
class PairRequest:
    """Files of one pair, what is to be written, and how the command speaks of it."""

    inputs: InputFiles
    output: Output
    json: Path | None = None
    quicklook: Path | None = None
    dry_run: bool = False
    quiet: bool = False
    flags: Mapping[str, str] = field(default_factory=dict)  # parameter -> flag

    def say(self, line: str) -> None:
        if not self.quiet:
            print_result(f"fusiontrain: {with_flags(line, self.flags)}")


@dataclass(frozen=True, kw_only=True, slots=True)
class PairResult:
    """What was made of a pair. `speed`: Mpix a second; 0 of a dry run."""

    shape: tuple[int, int, int]
    dtype: str
    speed: float
    seconds: float
    warnings: tuple[str, ...]


def fuse_pair(
    request: PairRequest, fuser: Fuser, options: FusionOptions, *, threads: int, started: float
) -> PairResult:
    """Fuse the pair into request.output. `started`: time.monotonic() when work on it began.

    Raises: SceneError as open_job, check_output and fuse_to_file; nothing is then half-written.
    """
    with open_job(request.inputs, fuser, options, threads=threads) as job:
        output = _ready_output(request, job)
        dtype = output.dtype or job.pair.dtype
        if request.dry_run:
            print_plan(job, output, dtype)
            return _result(job, dtype.name, 0.0, started)
        opened = time.monotonic()
        job = _adapted(job, request)  # noqa: PLW2901
        if job.adaptation is not None:
            request.say(str(job.adaptation))
        ready = time.monotonic()
        # Scored where the result lies: beside the MS as it was moved.
        scene, _ = in_output_frame(job.pair, job.sensor_model)
        sampler = QualitySampler(scene, job.plan.windows) if request.json else None
        with progress(job, quiet=request.quiet) as (statistics, advance):
            fuse_to_file(job, output, sampler=sampler, statistics=statistics, advance=advance)
        fused = time.monotonic()
        if request.quicklook is not None:
            bands, guessed = rgb_bands(output.colours)
            write_quicklook(request.quicklook, output.path, bands)
            shown = ", ".join(map(str, bands))
            guess = " (a guess: nothing says which bands these are)" if guessed else ""
            request.say(f"wrote {request.quicklook}: bands {shown}{guess}")
        seconds = {"opening": opened - started, "fusing": fused - ready}
        if job.adaptation is not None:
            seconds["adapting"] = ready - opened
        if sampler is not None and request.json is not None:
            write_report(request.json, job, output.path, sampler, seconds)
        speed = job.plan.megapixels / max(fused - ready, 1e-9)
        return _result(job, dtype.name, speed, started)


def _ready_output(request: PairRequest, job: FusionJob) -> Output:
    """The output, checked and resolved; what is noted of the pair is said."""
    check_paths(
        request.output.path, job.pair, {"json": request.json, "quicklook": request.quicklook}
    )
    output = prepared(job, request.output)
    check_output(output, job.pair, place=not request.dry_run)
    dtype = output.dtype or job.pair.dtype
    _, changed = output_nodata(job.pair.nodata, dtype, output.nodata)
    scaled = "" if output.scaling is None else f"scale: {output.scaling}"
    for line in filter(None, (*job.notes, changed, scaled)):
        request.say(line)
    for line in job.warnings:
        print_error("fusiontrain", f"warning: {with_flags(line, request.flags)}")
    return output


def _adapted(job: FusionJob, request: PairRequest) -> FusionJob:
    if job.options.adapt is None:
        return job
    request.say("tuning the network on this pair, by its own reduced resolution")
    lines = None if request.quiet else ProgressLines(say_progress, "tuning", "step")
    from fusiontrain.training.adaptation import adapted  # fusing needs no training

    return adapted(job, advance=lines)


def _result(job: FusionJob, dtype: str, speed: float, started: float) -> PairResult:
    h, w = (side * job.pair.ratio for side in job.pair.shape)
    return PairResult(
        shape=(job.pair.bands, h, w),
        dtype=dtype,
        speed=speed,
        seconds=time.monotonic() - started,
        warnings=job.warnings,
    )
