"""What a build will do, before it does any of it."""

import importlib.metadata
from dataclasses import dataclass
from typing import Any

import numpy as np

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
            "libraries": library_versions(),
        }

    @property
    def digest(self) -> str:
        return digest(self.data)

    @property
    def num_samples(self) -> int:
        total = len(self.source.photos) * self.build.draws
        return total if self.build.limit is None else min(total, self.build.limit)

    @property
    def num_shards(self) -> int:
        return -(-self.num_samples // self.build.shard_size)

    def samples_of(self, shard: int) -> list[Planned]:
        """The shard's slice of all (photograph, draw) pairs in their shuffled order."""
        total = len(self.source.photos) * self.build.draws
        order = np.random.default_rng(self.build.seed).permutation(total)[: self.num_samples]
        first = shard * self.build.shard_size
        return [
            Planned(
                number=first + i,
                photo=self.source.photos[int(pair) // self.build.draws],
                draw=int(pair) % self.build.draws,
            )
            for i, pair in enumerate(order[first : first + self.build.shard_size])
        ]

    def bands_of(self, shard: int) -> int:
        return self.build.bands[shard % len(self.build.bands)]


def shard_stem(shard: int) -> str:
    return f"shard-{shard:06d}"


def library_versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in _LIBRARIES}
