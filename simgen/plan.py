"""What a build will do, before it does any of it."""

import importlib.metadata
from dataclasses import dataclass
from typing import Any

from shards.schema import VERSION
from simgen.config import Build, digest
from simgen.sources import Photo, Source

_LIBRARIES = ("panprior", "numpy", "nvidia-dali-cuda130", "pillow")


@dataclass(frozen=True, kw_only=True, slots=True)
class Planned:
    """One sample to be: a photograph and which of its draws."""

    number: int  # over the whole build
    photo: Photo
    draw: int

    @property
    def key(self) -> str:
        return f"{self.number:09d}"

    @property
    def dice(self) -> str:
        return f"{self.photo.key}#{self.draw}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Everything that decides the bytes of a build, and nothing else."""

    build: Build
    source: Source

    @property
    def data(self) -> dict[str, Any]:
        build = self.build
        return {
            "contract_version": VERSION,
            "dataset": self.source.name,
            "source": self.source.digest,
            "recipe": build.recipe.as_data(),
            "bands": list(build.bands),
            "draws": build.draws,
            "limit": build.limit,
            "shard_size": build.shard_size,
            "seed": build.seed,
            "device": build.device,
            "max_pixels": build.max_pixels,
            "max_bytes": build.max_bytes,
            "libraries": library_versions(),
        }

    @property
    def digest(self) -> str:
        return digest(self.data)

    @property
    def num_samples(self) -> int:
        total = len(self.source.photos) * self.build.draws
        return total if self.build.limit is None else min(total, self.build.limit)

    def tasks(self) -> list["Task"]:
        """All shards: slices of all (photograph, draw) pairs in their shuffled order."""
        build, digest_ = self.build, self.digest
        photos, draws = self.source.photos, build.draws
        order = self.source.order(draws=draws, seed=build.seed)[: self.num_samples]
        slices = self.source.slices(order, draws=draws, size=build.shard_size, bands=build.bands)
        tasks: list[Task] = []
        first = 0
        for shard, (bands, pairs) in enumerate(slices):
            samples = tuple(
                Planned(number=number, photo=photos[pair // draws], draw=pair % draws)
                for number, pair in enumerate(pairs.tolist(), first)
            )
            tasks.append(Task(build=build, plan=digest_, shard=shard, bands=bands, samples=samples))
            first += len(samples)
        return tasks


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One shard to be: all that a worker process needs to know."""

    build: Build
    plan: str  # digest of the plan
    shard: int
    bands: int
    samples: tuple[Planned, ...]

    @property
    def stem(self) -> str:
        return f"shard-{self.shard:06d}"


def library_versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in _LIBRARIES}
