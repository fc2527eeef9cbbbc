"""One shard of a plan, from photographs to a committed tar: the work of one process."""

from shards.manifest import Rejected
from shards.schema import Facts, check_sample, encode_array
from simgen.config import Build
from simgen.draws import draw_sample
from simgen.errors import BuildError, SourceError
from simgen.guard import Verdict, judge
from simgen.pipeline import Arrays, DecodeError, Job, can_decode, run
from simgen.plan import Planned, Task
from simgen.sources import Photo
from simgen.writer import Sidecar, write_shard


def build_shard(task: Task) -> Sidecar:
    """Make and commit one shard. Unusable images are left out and named in the sidecar."""
    build = task.build
    judged: dict[str, tuple[bytes, Verdict]] = {}
    jobs: list[tuple[Planned, Job]] = []
    for planned in task.samples:
        photo = planned.photo
        if photo.key not in judged:
            judged[photo.key] = _read(photo, build)
        data, verdict = judged[photo.key]
        if verdict.usable:
            draw = draw_sample(
                build.recipe,
                bands=task.bands,
                seed=build.seed,
                key=planned.dice,
                height=verdict.height,
                width=verdict.width,
            )
            jobs.append((planned, Job(image=data, draw=draw)))
    reasons = {key: verdict.reason for key, (_, verdict) in judged.items() if not verdict.usable}
    made, refused = _run(jobs, build)
    reasons |= refused
    return write_shard(
        task,
        [(planned.key, _members(planned, job, made[planned.number], build))
         for planned, job in jobs if planned.number in made],
        rejected=tuple(Rejected(source=key, reason=reasons[key]) for key in sorted(reasons)),
    )  # fmt: skip


def _read(photo: Photo, build: Build) -> tuple[bytes, Verdict]:
    if photo.size > build.max_bytes:
        return b"", Verdict(reason=f"{photo.size} bytes exceed {build.max_bytes}")
    try:
        data = photo.read()
    except SourceError as error:
        return b"", Verdict(reason=str(error))
    return data, judge(data, min_side=build.recipe.min_side, max_pixels=build.max_pixels)


def _run(jobs: list[tuple[Planned, Job]], build: Build) -> tuple[dict[int, Arrays], dict[str, str]]:
    """Arrays by sample number, and reasons by photograph for what DALI alone refuses."""
    refused: dict[str, str] = {}
    if not jobs:
        return {}, refused
    try:
        made = run([job for _, job in jobs], build.recipe, device=build.device)
    except DecodeError as error:
        # Pillow took them all, so look for the culprits one by one.
        for planned, job in jobs:
            key = planned.photo.key
            if key not in refused and not can_decode(job.image, job.draw.crop):
                refused[key] = "DALI does not decode it, though Pillow does"
        if not refused:
            raise BuildError(f"DALI failed, and on no single image:\n{error}") from error
        rest = [(p, j) for p, j in jobs if p.photo.key not in refused]
        return _run(rest, build)[0], refused
    return {
        planned.number: arrays for (planned, _), arrays in zip(jobs, made, strict=True)
    }, refused


def _members(planned: Planned, job: Job, arrays: Arrays, build: Build) -> dict[str, bytes]:
    recipe, draw = build.recipe, job.draw
    gt, ms, pan = arrays
    facts = Facts(
        sensor=recipe.like_sensor or "draw",
        bits=draw.bits,
        ratio=recipe.ratio,
        mtf_ms=draw.optics.mtf_ms,
        mtf_pan=draw.optics.mtf_pan,
        softness=draw.optics.softness,
        source=planned.dice,
        recipe=recipe.name,
        seed=build.seed,
    )
    check_sample(gt, ms, pan, facts)
    return {
        "gt.npy": encode_array(gt),
        "ms.npy": encode_array(ms),
        "pan.npy": encode_array(pan),
        "json": facts.to_json(),
    }
