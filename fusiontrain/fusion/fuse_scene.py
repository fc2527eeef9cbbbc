"""One scene fused: open, align, estimate, plan, fuse, write. Commands and pansharpen() share it."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from fusiontrain.errors import SceneError
from fusiontrain.fusion.fuser import Fuser, no_progress
from fusiontrain.fusion.guide_report import GuideReport
from fusiontrain.fusion.memory_errors import memory_errors
from fusiontrain.fusion.memory_plan import Plan, make_plan
from fusiontrain.fusion.options import FusionOptions
from fusiontrain.fusion.pair_agreement import PairAgreement, check_agreement
from fusiontrain.fusion.quality_sampler import QualitySampler
from fusiontrain.fusion.registration import registration
from fusiontrain.fusion.scaled_scene import fused_windows
from fusiontrain.fusion.sensor_identity import gain_notes, sensor_model_for
from fusiontrain.fusion.sensor_model import SensorModel
from fusiontrain.fusion.window_loop import torch_threads
from fusiontrain.scenes.gdal_environment import Source, gdal, gdal_cache, name_of
from fusiontrain.scenes.grid_alignment import MATCH_LIMIT, open_pair
from fusiontrain.scenes.guided_pair import OpenPair
from fusiontrain.scenes.missing_values import empty_bands_named, missing_value_warnings
from fusiontrain.scenes.raster import Nodata
from fusiontrain.scenes.raster_metadata import all_tags
from fusiontrain.scenes.scene import NO_DATA
from fusiontrain.scenes.writer import BLOCK, Output, create_fused
from shards.signals import WaitedForPool


@dataclass(frozen=True, kw_only=True, slots=True)
class InputFiles:
    """Files of one scene, and how they are aligned."""

    pan: Source | tuple[Source, ...]  # a tuple: guides, several sharp bands in place of a PAN
    ms: tuple[Source, ...]
    keep_guides: bool = False  # they are in the output too, before the MS
    bands: tuple[int, ...] = ()  # of the MS, or with `keep_guides` of both, from 1; (): all
    bbox: tuple[float, float, float, float] | None = None  # of the PAN's CRS
    assume_aligned: bool | None = False
    match: bool = False
    match_limit: float = MATCH_LIMIT
    nodata: Nodata = None


@dataclass(frozen=True, kw_only=True, slots=True)
class AdaptationResult:
    """Outcome of adapting a network to its scene; indices before and after, of pixels held out."""

    kept: bool
    steps: int = 0
    seconds: float = 0.0
    ergas: tuple[float, float] | None = None
    sam: tuple[float, float] | None = None
    reason: str = ""  # why nothing was tried

    def __str__(self) -> str:
        if self.ergas is None or self.sam is None:
            return f"not adapted: {self.reason}"
        verdict = "kept" if self.kept else "not better, so the network stays as it was"
        ergas, sam = (f"{before:.3f} -> {after:.3f}" for before, after in (self.ergas, self.sam))
        return (
            f"adapted to the scene in {self.steps} steps; on pixels held out ERGAS {ergas}, "
            f"SAM {sam}: {verdict}"
        )

    def as_data(self) -> Mapping[str, Any]:
        return {
            "kept": self.kept,
            "steps": self.steps,
            "seconds": round(self.seconds, 2),
            "ergas": self.ergas,
            "sam": self.sam,
            "reason": self.reason or None,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class FusionJob:
    """An open pair, its sensor model and plan, and what fuses it."""

    pair: OpenPair
    fuser: Fuser
    options: FusionOptions
    sensor_model: SensorModel
    plan: Plan
    notes: tuple[str, ...] = ()  # lines for the user
    warnings: tuple[str, ...] = ()  # lines that name what may spoil the result
    agreement: PairAgreement = field(default_factory=PairAgreement)
    adaptation: AdaptationResult | None = None
    threads: int = 1  # as asked; `plan` says how many windows are computed side by side
    guides: GuideReport | None = None  # where several sharp bands stand for PAN


@contextlib.contextmanager
def open_job(
    inputs: InputFiles, fuser: Fuser, options: FusionOptions, *, threads: int = 1
) -> Iterator[FusionJob]:
    """Open, align, estimate, plan. Raises: SceneError as open_pair, sensor_model_for, make_plan."""
    if isinstance(inputs.pan, tuple):
        from fusiontrain.fusion.guided_job import open_guided_job  # it makes a FusionJob

        with open_guided_job(inputs, fuser, options, threads=threads) as job:
            yield job
        return
    with (
        memory_errors(),
        torch_threads_for(fuser),
        gdal(threads),
        open_pair(
            inputs.pan,
            inputs.ms,
            bands=inputs.bands,
            # pairs without a geotransform are what `match` is for
            assume_aligned=True if inputs.match else inputs.assume_aligned,
            match=inputs.match,
            limit=inputs.match_limit,
            nodata=inputs.nodata,
        ) as opened,
        empty_bands_named(opened.pan_file, opened.ms_file),
    ):
        pair = opened if inputs.bbox is None else opened.cropped(inputs.bbox)
        sensor_model, source = sensor_model_for(
            pair,
            options,
            blind=fuser.blind,
            target=fuser.target,
            tags=all_tags(pair.pan_file) | all_tags(pair.ms_file),
            name=Path(name_of(inputs.ms[0])).stem,
            bands=inputs.bands,
        )
        h, w = (side * pair.ratio for side in pair.shape)
        notes = (
            *filter(None, [pair.note]),
            f"{pair.bands} bands, {h} x {w} pixels, {pair.ratio} PAN pixels to one MS pixel",
            f"{source[:1].upper()}{source[1:]}",
            *gain_notes(sensor_model, options, target=fuser.target, what="this pair"),
            registration(sensor_model, register=options.register),
        )
        plan = make_plan(pair, fuser, memory=options.memory, core=options.window, threads=threads)
        resolved = sensor_model.local_shift is not None
        agreement = replace(check_agreement(pair), resolved=resolved)
        yield FusionJob(
            pair=pair,
            fuser=fuser,
            options=options,
            sensor_model=sensor_model,
            plan=plan,
            notes=notes,
            warnings=(*missing_value_warnings(pair), *filter(None, [agreement.warning])),
            agreement=agreement,
            threads=threads,
        )


def fuse_to_file(
    job: FusionJob,
    output: Output,
    *,
    sampler: QualitySampler | None = None,
    statistics: Callable[[int], None] = no_progress,
    advance: Callable[[int], None] = lambda _: None,
) -> None:
    """The file appears when it is whole. Reading, fusing and writing go on side by side.

    `statistics` is called for each window of the first passes, with their number; `advance` with
    the PAN pixels done.
    """
    output = replace(output, tags=_tags(job) | output.tags)
    with (
        gdal_cache(_bytes_of_rows(job)),
        create_fused(output, job.pair) as file,
        WaitedForPool(1, "writing") as writer,
        closing(
            fused_windows(job.pair, job.fuser, job.sensor_model, job.plan, advance=statistics)
        ) as windows,
    ):
        pending: list[Future[None]] = []
        has_data = False
        try:
            for window in windows:
                if pending:
                    pending.pop().result()  # one window may wait, not more: memory is bounded
                if sampler is not None:
                    sampler.add(window)
                has_data = has_data or bool(window.valid.any())
                pending.append(writer.submit(file.write, window.core, window.fused, window.valid))
                advance(window.valid.numel())
            for future in pending:
                future.result()
            if not has_data:
                raise SceneError(NO_DATA)
        finally:
            for future in pending:
                future.cancel()


def _bytes_of_rows(job: FusionJob) -> int:
    """Of what is read for a row of windows, and of blocks of the output that two rows share."""
    pair, plan = job.pair, job.plan
    pan, ms = (file.count * file.dtype.itemsize for file in (pair.pan_file, pair.ms_file))
    width = pair.shape[1] * pair.ratio
    shared = BLOCK * ms if plan.core % BLOCK else 0
    return int(width * ((plan.core + 2 * plan.halo) * (pan + ms / pair.ratio**2) + shared))


def torch_threads_for(fuser: Fuser) -> AbstractContextManager[None]:
    """A block with one thread of torch where windows are computed side by side, on a CPU."""
    return torch_threads(1) if fuser.device.type == "cpu" else nullcontext()


def use_threads(threads: int | None) -> int:
    """Threads that compute windows, and of GDAL's codecs; None: as many as torch has."""
    if threads is not None:
        torch.set_num_threads(threads)
    return torch.get_num_threads()


def own_version() -> str:
    try:
        return version("panprior")
    except PackageNotFoundError:
        return "unknown"


def _tags(job: FusionJob) -> dict[str, str]:
    """PANPRIOR_* tags of the output."""
    tags = job.fuser.tags | {
        "PANPRIOR_KNOWLEDGE": str(job.sensor_model),
        "PANPRIOR_REGISTRATION": registration(job.sensor_model, register=job.options.register),
        "PANPRIOR_VERSION": own_version(),
    }
    if job.pair.note:
        tags["PANPRIOR_ALIGNMENT"] = job.pair.note
    if job.warnings:
        tags["PANPRIOR_WARNINGS"] = "; ".join(job.warnings)
    if job.adaptation is not None:
        tags["PANPRIOR_ADAPTATION"] = str(job.adaptation)
    if job.guides is not None:
        tags |= job.guides.tags
    return tags
