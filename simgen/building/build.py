"""A whole build: source -> pipeline -> writer, shard by shard, resumable.

A shard is a pure function of the plan and its number, so workers share nothing and the
bytes are the same for any number of them.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from shards.compression import check_installed
from shards.manifest import Manifest
from shards.signals import check_signals
from shards.tolerance import Tolerance
from simgen.building.array_task import TaskShare
from simgen.building.bad_image_budget import budget_spent
from simgen.building.folder_lock import claimed
from simgen.building.merge import TaskPart, finish, manifest_of
from simgen.building.plan import Plan, Task
from simgen.building.shard_writing import Sidecar, committed
from simgen.building.task_record import record_path, recorded
from simgen.building.worker_pool import build_in_processes
from simgen.config import Build
from simgen.errors import BudgetSpent, ConfigError
from simgen.recipes.wald import WALD
from simgen.simulate.gpus import count_gpus
from simgen.sources import Source, open_source

WHOLE, BOUNDLESS = TaskShare(), Tolerance()


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How far this process's share is; sent before its first shard and after each."""

    shards_done: int
    shards_total: int
    samples: int
    bytes: int
    reused: int  # of shards_done
    images: int  # images read
    rejected: int  # of images
    seconds: float  # since this call began to build
    samples_made: int  # in these seconds
    bytes_made: int

    @property
    def samples_per_second(self) -> float:
        return self.samples_made / self.seconds if self.seconds else 0.0

    @property
    def mb_per_second(self) -> float:
        return self.bytes_made / 1e6 / self.seconds if self.seconds else 0.0

    @property
    def eta(self) -> float | None:
        """Seconds; None until a shard was made."""
        made = self.shards_done - self.reused
        return self.seconds / made * (self.shards_total - self.shards_done) if made else None


def run_build(
    build: Build,
    *,
    workers: int,
    report: Callable[[Progress], None] = lambda _: None,
    share: TaskShare = WHOLE,
    budget: Tolerance = BOUNDLESS,
) -> Manifest:
    """Build what is missing of this share in build.out; write its manifest, or its part.

    Raises: SourceError, BuildError, BudgetSpent. What was committed stays; the same call
    resumes.
    """
    # A missing driver is said here, once; windows of scenes need none.
    gpus = count_gpus() if build.device == "gpu" and build.recipe.name != WALD else 0
    source = _open(build)
    plan = Plan(build=build, source=source)
    every = plan.tasks()
    tasks = share.of(every)
    task_name = None if share.is_whole else share.name
    names = {f"{task.stem}{ending}" for task in tasks for ending in (".tar", ".idx", ".json")}
    names.add(f"{share.name}.json")
    names.add(record_path(build.out, share).name)
    with (
        claimed(build.out, plan.data, task=task_name, names=names),
        recorded(build.out, share, len(every)) as recorder,
    ):

        def tell(progress: Progress) -> None:
            recorder.update(
                shards_made=progress.shards_done - progress.reused,
                samples_made=progress.samples_made,
                seconds=progress.seconds,
            )
            report(progress)

        state = _BuildState(tasks=tasks, plan=plan, budget=budget, report=tell)
        state.find_committed()
        if workers == 1 or len(state.missing) <= 1:
            _build_here(state)
        else:
            build_in_processes(state.missing, workers, gpus, state.add)
        state.check_budget(finished=True)
        found = {number: state.found[number] for number in sorted(state.found)}
        rejected = {*source.rejected, *(r for s in found.values() for r in s.rejected)}
        rows = {number: sidecar.row for number, sidecar in found.items()}
        manifest = manifest_of(plan.data, source.licence, rows.values(), rejected)
        if share.is_whole:
            return finish(build.out, manifest)
        TaskPart(
            share=share,
            plan=plan.data,
            licence=source.licence,
            planned=len(every),
            built=rows,
            rejected=manifest.rejected,
        ).dump(build.out)
    return manifest


def _open(build: Build) -> Source:
    """Raises: ConfigError if scenes are to be simulated, or photographs to be reduced."""
    if (build.dataset == "scene") != (build.recipe.name == WALD):
        raise ConfigError(
            f"`dataset=scene` goes with `recipe={WALD}`, and only it; "
            f"got `dataset={build.dataset}` `recipe={build.recipe.name}`"
        )
    if build.compression:
        check_installed()
    if build.recipe.name == WALD and build.draws != 1:
        raise ConfigError(
            f"a window of a scene is one sample, without draws; got `draws={build.draws}`"
        )
    return open_source(
        build.dataset,
        build.source,
        split=build.split,
        filters=build.filters,
        tile=build.recipe.tile,
        ratio=build.recipe.ratio,
        bands=build.bands,
    )


@dataclass(kw_only=True, slots=True)
class _BuildState:
    """State of one call: shards done and missing, images read, images rejected."""

    tasks: list[Task]
    plan: Plan
    budget: Tolerance
    report: Callable[[Progress], None]
    found: dict[int, Sidecar] = field(default_factory=dict)
    used: np.ndarray = field(init=False)  # by image: a byte each, for there may be millions
    images: int = 0
    bad: dict[str, str] = field(default_factory=dict)  # first reasons first
    reused: int = 0
    samples: int = 0
    bytes: int = 0
    samples_reused: int = 0
    bytes_reused: int = 0
    began: float = 0.0

    def __post_init__(self) -> None:
        self.used = np.zeros(len(self.plan.source.photos), bool)

    @property
    def missing(self) -> list[Task]:
        return [task for task in self.tasks if task.shard not in self.found]

    def find_committed(self) -> None:
        """What an earlier call left whole is not made again, but counts against the budget."""
        refused = self.plan.source.rejected
        self.images = len({rejected.source for rejected in refused})
        for rejected in refused:
            self.bad.setdefault(rejected.source, rejected.reason)
        for task in self.tasks:
            sidecar = committed(task)
            if sidecar is not None:
                self._count(task, sidecar)
        self.reused = len(self.found)
        self.samples_reused, self.bytes_reused = self.samples, self.bytes
        self.began = time.monotonic()
        self._report()
        self.check_budget()

    def add(self, task: Task, sidecar: Sidecar) -> None:
        self._count(task, sidecar)
        self._report()
        self.check_budget()
        check_signals()

    def _count(self, task: Task, sidecar: Sidecar) -> None:
        self.found[task.shard] = sidecar
        photos = np.unique(task.samples.photos)
        self.images += int((~self.used[photos]).sum())
        self.used[photos] = True
        for rejected in sidecar.rejected:
            self.bad.setdefault(rejected.source, rejected.reason)
        if sidecar.row is not None:
            self.samples += sidecar.row.samples
            self.bytes += sidecar.row.bytes

    def _report(self) -> None:
        self.report(
            Progress(
                shards_done=len(self.found),
                shards_total=len(self.tasks),
                samples=self.samples,
                bytes=self.bytes,
                reused=self.reused,
                images=self.images,
                rejected=len(self.bad),
                seconds=time.monotonic() - self.began,
                samples_made=self.samples - self.samples_reused,
                bytes_made=self.bytes - self.bytes_reused,
            )
        )

    def check_budget(self, *, finished: bool = False) -> None:
        """Raises: BudgetSpent if too many images were unusable."""
        images, bad = self.images, len(self.bad)
        if budget_spent(self.budget, images=images, bad=bad, finished=finished):
            shown = "\n  ".join(f"{key}: {why}" for key, why in [*self.bad.items()][:5])
            raise BudgetSpent(
                f"{bad} of the {images} images read are unusable; `max_bad` allows {self.budget}. "
                f"First reasons:\n  {shown}\n"
                "  do: look at those images, or run again with a larger `max_bad`: "
                f"{len(self.found)} finished shards are kept"
            )


def _build_here(state: _BuildState) -> None:
    for task in state.missing:
        from simgen.building.shard import build_shard  # DALI loads only where there is work for it

        state.add(task, build_shard(task))
