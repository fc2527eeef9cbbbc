"""One shard of a plan, from photographs to a committed tar: the work of one process."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from shards.schema import Facts, check_sample, encode_array, packed_members
from simgen.building.image_check import EncodedImage, MultibandImage, examine, read_photograph
from simgen.building.plan import Planned, Task
from simgen.building.shard_writing import Sidecar, write_shard
from simgen.config import Build
from simgen.errors import BuildError, SourceError
from simgen.recipes.wald import WALD
from simgen.sampling import SampleParameters, sample_parameters
from simgen.simulate.dispatch import Arrays, DecodeError, Job, can_decode, run
from simgen.simulate.overlap import one_ahead
from simgen.simulate.wald import wald_sample

Sample = tuple[Arrays, Facts]
_AT_ONCE = 64  # samples made together, and held in memory
_BANDS_AT_ONCE = 8  # crops of many bands that are held in memory together
_KEPT = 1 << 27  # bytes of images kept for further draws of them in the same shard


def build_shard(task: Task) -> Sidecar:
    """Make and commit one shard. Unusable images are left out and named in the sidecar."""
    reasons: dict[str, str] = {}
    make = _reduced if task.build.recipe.name == WALD else _simulated
    packed = bool(task.build.compression)
    samples = ((key, _members(*sample, packed=packed)) for key, sample in make(task, reasons))
    return write_shard(task, samples, reasons=reasons)


def _reduced(task: Task, reasons: dict[str, str]) -> Iterator[tuple[str, Sample]]:
    """Samples by key of real scenes; into `reasons` why a tile gives none."""
    build = task.build
    for planned in task.samples:
        try:
            made = wald_sample(
                planned.photo, source=planned.draw_key, recipe=build.recipe.name, seed=build.seed
            )
        except SourceError as error:
            reasons[planned.photo.key] = str(error)
        else:
            yield planned.key, made


def _simulated(task: Task, reasons: dict[str, str]) -> Iterator[tuple[str, Sample]]:
    """Samples by key of photographs and many-banded images, some dozens at a time."""
    # While a GPU makes some, the host examines the next and writes the last.
    threads = task.build.device == "gpu"
    drawn = one_ahead(_drawn(task), threads=threads)
    for made, refused in one_ahead((_made(some, task.build) for some in drawn), threads=threads):
        reasons |= refused
        while made:
            yield made.pop()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Drawn:
    """Some dozens of planned samples with their parameters, and why images give none."""

    planned: Sequence[Planned]
    photographs: list[tuple[Planned, Job]]
    banded: list[tuple[Planned, MultibandImage, SampleParameters]]
    reasons: dict[str, str]


def _drawn(task: Task) -> Iterator[_Drawn]:
    seen: dict[str, EncodedImage | MultibandImage] = {}  # images examined already
    for first in range(0, len(task.samples), _AT_ONCE):
        yield _drawn_together(task, task.samples[first : first + _AT_ONCE], seen)
        if sum(len(f.data) for f in seen.values() if isinstance(f, EncodedImage)) > _KEPT:
            seen.clear()


def _drawn_together(
    task: Task, some: Sequence[Planned], seen: dict[str, EncodedImage | MultibandImage]
) -> _Drawn:
    build = task.build
    photographs: list[tuple[Planned, Job]] = []
    banded: list[tuple[Planned, MultibandImage, SampleParameters]] = []
    for planned in some:
        photo = planned.photo
        if photo.key not in seen:
            seen[photo.key] = examine(
                photo,
                min_side=build.recipe.min_side,
                max_pixels=build.max_pixels,
                max_bytes=build.max_bytes,
            )
        found = seen[photo.key]
        if not found.verdict.usable:
            continue
        draw = sample_parameters(
            build.recipe,
            bands=task.bands,
            seed=build.seed,
            key=planned.draw_key,
            height=found.verdict.height,
            width=found.verdict.width,
            channels=found.verdict.channels,
        )
        if isinstance(found, MultibandImage):
            banded.append((planned, found, draw))
        else:
            photographs.append((planned, Job(image=found.data, draw=draw)))
    reasons = {k: f.verdict.reason for k, f in seen.items() if not f.verdict.usable}
    return _Drawn(planned=some, photographs=photographs, banded=banded, reasons=reasons)


def _made(drawn: _Drawn, build: Build) -> tuple[list[tuple[str, Sample]], dict[str, str]]:
    """Samples by key, the first last, and reasons by image."""
    banded = drawn.banded
    made, reasons = _run(drawn.photographs, build)
    reasons |= drawn.reasons
    for first in range(0, len(banded), _BANDS_AT_ONCE):
        more, refused = _run_banded(banded[first : first + _BANDS_AT_ONCE], build)
        made |= more
        reasons |= refused
    found = [(p.key, made.pop(p.number)) for p in drawn.planned if p.number in made]
    return found[::-1], reasons


def _run_banded(
    some: list[tuple[Planned, MultibandImage, SampleParameters]], build: Build
) -> tuple[dict[int, Sample], dict[str, str]]:
    jobs: list[tuple[Planned, Job]] = []
    reasons: dict[str, str] = {}
    for planned, found, draw in some:
        try:
            crop = found.crop(draw.crop)
        except SourceError as error:
            reasons[planned.photo.key] = str(error)
            continue
        jobs.append((planned, _of_crop(crop, draw)))
    made, refused = _run(jobs, build)
    return made, reasons | refused


def _run(jobs: list[tuple[Planned, Job]], build: Build) -> tuple[dict[int, Sample], dict[str, str]]:
    """Samples by number, and reasons by image; Pillow reads what DALI alone refuses."""
    if not jobs:
        return {}, {}
    try:
        made = run([job for _, job in jobs], build.recipe, device=build.device)
    except DecodeError as error:
        # Pillow took them all, so look for the culprits one by one.
        odd = {
            p.number
            for p, job in jobs
            if not can_decode(job.image, job.draw.crop, device=build.device)
        }
        if not odd:
            raise BuildError(f"DALI failed, and on no single image:\n{error}") from error
        rest = [(planned, job) for planned, job in jobs if planned.number not in odd]
        refused: dict[str, str] = {}
        for planned, job in jobs:
            if planned.number in odd and isinstance(job.image, bytes):
                try:
                    crop = read_photograph(job.image, job.draw.crop)
                except SourceError as why:
                    refused[planned.photo.key] = str(why)
                else:
                    rest.append((planned, _of_crop(crop, job.draw)))
        read, more = _run(rest, build)
        return read, refused | more
    return {
        planned.number: (arrays, _facts(planned, job, build))
        for (planned, job), arrays in zip(jobs, made, strict=True)
    }, {}


def _of_crop(crop: np.ndarray, draw: SampleParameters) -> Job:
    """Only the crop is in memory, so it is all of what is drawn from."""
    return Job(image=crop, draw=replace(draw, crop=(0, 0, *draw.crop[2:])))


def _facts(planned: Planned, job: Job, build: Build) -> Facts:
    recipe, draw = build.recipe, job.draw
    return Facts(
        sensor="draw" if recipe.optics.like_sensor is None else recipe.optics.like_sensor.name,
        bits=draw.bits,
        ratio=recipe.ratio,
        mtf_ms=draw.optics.mtf_ms,
        mtf_pan=draw.optics.mtf_pan,
        softness=draw.optics.softness,
        source=planned.draw_key,
        recipe=recipe.name,
        seed=build.seed,
    )


def _members(arrays: Arrays, facts: Facts, *, packed: bool) -> dict[str, bytes]:
    gt, ms, pan = arrays
    check_sample(gt, ms, pan, facts)
    members = {
        "gt.npy": encode_array(gt),
        "ms.npy": encode_array(ms),
        "pan.npy": encode_array(pan),
        "json": facts.to_json(),
    }
    return packed_members(members) if packed else members
