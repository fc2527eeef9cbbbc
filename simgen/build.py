"""A whole build: source -> pipeline -> writer, shard by shard, resumable.

A shard is a pure function of the plan and its number, so workers share nothing and the
bytes are the same for any number of them.
"""

import fcntl
import json
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from shards.commit import sweep_temporaries, whole_file
from shards.index import WIDS_NAME, wids_index
from shards.manifest import Manifest
from simgen.config import Build, digest
from simgen.errors import BuildError, ConfigError
from simgen.plan import Plan, Task, library_versions
from simgen.recipes.wald import WALD
from simgen.sources import Source, open_source
from simgen.writer import Sidecar, committed

PLAN_NAME, LOCK_NAME = "build.json", ".lock"


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """What a progress bar shows after a shard."""

    shards_done: int
    shards_total: int
    samples: int
    reused: int
    rejected: int


def run_build(
    build: Build, *, workers: int, report: Callable[[Progress], None] = lambda _: None
) -> Manifest:
    """Build what is missing in build.out and write its manifest.

    Raises: SourceError, BuildError. What was committed stays; the same call resumes.
    """
    plan = Plan(build=build, source=_open(build))
    with _folder_of(plan):
        sidecars = _build_shards(plan, workers, report)
        manifest = _manifest(plan, sidecars)
        with whole_file(build.out / WIDS_NAME) as file:
            file.write(wids_index(f"{plan.source.name}-{build.recipe.name}", manifest.shards))
        manifest.dump(build.out)
    return manifest


def _open(build: Build) -> Source:
    """Raises: ConfigError if scenes are to be simulated, or photographs to be reduced."""
    if (build.dataset == "scene") != (build.recipe.name == WALD):
        raise ConfigError(
            f"--dataset scene goes with --recipe {WALD}, and only it; "
            f"got --dataset {build.dataset} --recipe {build.recipe.name}"
        )
    if build.recipe.name == WALD and build.draws != 1:
        raise ConfigError(f"a scene's tile is one sample, without dice; got --draws {build.draws}")
    return open_source(
        build.dataset,
        build.source,
        split=build.split,
        filters=build.filters,
        tile=build.recipe.tile,
        ratio=build.recipe.ratio,
        bands=build.bands,
    )


@contextmanager
def _folder_of(plan: Plan) -> Iterator[None]:
    """The output folder, ours alone while the block runs."""
    out = plan.build.out
    text = json.dumps(plan.data, indent=1, sort_keys=True).encode() + b"\n"
    try:
        out.mkdir(parents=True, exist_ok=True)
        claim = (out / LOCK_NAME).open("ab")
    except OSError as error:
        raise BuildError(
            f"cannot write to {out.absolute()}: {error.strerror}; "
            "give --out a folder that you may write to"
        ) from error
    with claim:
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise BuildError(f"another build is running in {out}; wait for it") from error
        try:
            sweep_temporaries(out)
            if _is_new(plan):
                with whole_file(out / PLAN_NAME) as file:
                    file.write(text)
            yield
        except OSError as error:
            raise BuildError(f"cannot go on writing to {out}: {error.strerror or error}") from error


def _is_new(plan: Plan) -> bool:
    """Whether the folder holds no build yet; BuildError if it holds another, or other tars."""
    out = plan.build.out
    if not (out / PLAN_NAME).exists():
        if any(out.glob("*.tar")):
            raise BuildError(f"{out} holds tars of another origin; give --out an empty folder")
        return True
    try:
        held = dict(json.loads((out / PLAN_NAME).read_bytes()))
    except (ValueError, TypeError) as error:
        raise BuildError(
            f"{out / PLAN_NAME} is damaged ({error}); delete the folder to build anew"
        ) from error
    wanted = json.loads(json.dumps(plan.data))
    different = sorted(k for k in {*wanted, *held} if wanted.get(k) != held.get(k))
    if different:
        shown = "; ".join(
            f"{k}: {_brief(held, k)} there, {_brief(wanted, k)} asked" for k in different
        )
        raise BuildError(
            f"{out} holds another build ({shown})\n"
            "  do: give --out another folder, or delete this one to build anew"
        )
    return False


def _brief(data: dict[str, Any], key: str) -> str:
    value = data.get(key)
    if isinstance(value, dict):
        return f"{value.get('name', '')} {digest(value)[:8]}".strip()
    return str(value)[:16]


def _build_shards(plan: Plan, workers: int, report: Callable[[Progress], None]) -> list[Sidecar]:
    tasks = plan.tasks()
    found: dict[int, Sidecar] = {}
    for task in tasks:
        sidecar = committed(task)
        if sidecar is not None:
            found[task.shard] = sidecar
    reused = len(found)

    def tell() -> None:
        report(
            Progress(
                shards_done=len(found),
                shards_total=len(tasks),
                samples=sum(s.row.samples for s in found.values() if s.row),
                reused=reused,
                rejected=len({r for s in found.values() for r in s.rejected}),
            )
        )

    tell()
    from simgen.shard import build_shard  # DALI loads only where there is work for it

    missing = [task for task in tasks if task.shard not in found]
    if workers == 1 or len(missing) <= 1:
        for task in missing:
            found[task.shard] = build_shard(task)
            tell()
    else:
        _build_in_processes(missing, workers, found, tell)
    return [found[shard] for shard in sorted(found)]


def _build_in_processes(
    missing: list[Task],
    workers: int,
    found: dict[int, Sidecar],
    tell: Callable[[], None],
) -> None:
    from simgen.shard import build_shard

    # spawn: DALI's threads do not survive a fork.
    pool = ProcessPoolExecutor(
        min(workers, len(missing)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_die_with_parent,
        initargs=(os.getpid(),),
    )
    try:
        futures = {pool.submit(build_shard, task): task.shard for task in missing}
        for future in as_completed(futures):
            found[futures[future]] = future.result()
            tell()
    except BrokenProcessPool as error:
        raise BuildError(
            "a worker process died (out of memory?); run the same command again with fewer "
            "--workers: finished shards are kept"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _die_with_parent(parent: int) -> None:
    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _manifest(plan: Plan, sidecars: list[Sidecar]) -> Manifest:
    build = plan.build
    rows = tuple(sidecar.row for sidecar in sidecars if sidecar.row is not None)
    found = {*plan.source.rejected, *(r for s in sidecars for r in s.rejected)}
    rejected = sorted(found, key=lambda r: (r.source, r.reason))
    if not rows:
        shown = "\n  ".join(f"{r.source}: {r.reason}" for r in rejected[:5])
        raise BuildError(
            f"none of the {len(plan.source.photos)} images gave a sample; first reasons:\n  {shown}"
        )
    return Manifest(
        recipe=build.recipe.name,
        recipe_hash=build.recipe.digest,
        recipe_data=build.recipe.as_data(),
        seed=build.seed,
        tile=build.recipe.tile,
        ratio=build.recipe.ratio,
        source=plan.source.name,
        licence=plan.source.licence,
        libraries=library_versions(),
        shards=rows,
        rejected=tuple(rejected),
    )
