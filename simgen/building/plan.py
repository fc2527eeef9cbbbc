"""The plan of a build: its shards and their samples, and all that decides their bytes."""

import importlib.metadata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np

from shards.schema import PACKED_VERSION, VERSION
from simgen.config import Build, digest
from simgen.sources import Photo, Source

ENGINE = 2  # rises when equal random streams give other bytes
_LIBRARIES = ("panprior", "numpy", "nvidia-dali-cuda130", "pillow")


@dataclass(frozen=True, kw_only=True, slots=True)
class Planned:
    """One planned sample: a photograph and the number of its draw."""

    number: int  # over the whole build
    photo: Photo
    draw: int

    @property
    def key(self) -> str:
        return f"{self.number:09d}"

    @property
    def draw_key(self) -> str:
        """Names the image and the draw: seeds the random streams, and is the sample's source."""
        return f"{self.photo.key}#{self.draw}"


class Samples(Sequence[Planned]):
    """A shard's samples, made when asked for: five million at once would take gigabytes.

    Pickled, for a worker, they take their own images along: the listing stays here.
    """

    __slots__ = ("_draws", "_first", "_pairs", "_photos")

    def __init__(
        self, photos: Sequence[Photo], pairs: np.ndarray, *, draws: int, first: int
    ) -> None:
        self._photos, self._pairs = photos, pairs
        self._draws, self._first = draws, first

    def __len__(self) -> int:
        return len(self._pairs)

    @overload
    def __getitem__(self, index: int) -> Planned: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Planned]: ...
    def __getitem__(self, index: int | slice) -> Planned | Sequence[Planned]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        i = range(len(self))[index]
        photo, draw = divmod(int(self._pairs[i]), self._draws)
        return Planned(number=self._first + i, photo=self._photos[photo], draw=draw)

    @property
    def photos(self) -> np.ndarray:
        """Which images of the source these are of."""
        return self._pairs // self._draws

    def __reduce__(self) -> tuple[Any, ...]:
        photos = tuple(self._photos[i] for i in self.photos)
        pairs = np.arange(len(photos)) * self._draws + self._pairs % self._draws
        return _samples, (photos, pairs, self._draws, self._first)


def _samples(photos: tuple[Photo, ...], pairs: np.ndarray, draws: int, first: int) -> Samples:
    return Samples(photos, pairs, draws=draws, first=first)


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Everything that decides the bytes of a build, and nothing else."""

    build: Build
    source: Source

    @property
    def data(self) -> dict[str, Any]:
        build = self.build
        return {
            "contract_version": PACKED_VERSION if build.compression else VERSION,
            "compression": build.compression,
            "dataset": self.source.name,
            "source": self.source.digest,
            "recipe": build.recipe.as_data(),
            "bands": list(build.bands),
            "draws": build.draws,
            "limit": build.limit,
            "shard_size": self.shard_size,
            "seed": build.seed,
            "device": build.device,
            "max_pixels": build.max_pixels,
            "max_bytes": build.max_bytes,
            "libraries": library_versions(*(["blosc2"] if build.compression else [])),
        }

    @property
    def digest(self) -> str:
        return digest(self.data)

    @property
    def num_samples(self) -> int:
        total = len(self.source.photos) * self.build.draws
        return total if self.build.limit is None else min(total, self.build.limit)

    @property
    def shard_size(self) -> int:
        """Samples planned a shard: fewer than asked if some band count would get no shard."""
        build = self.build
        counts, shards = len(build.bands), -(-self.num_samples // build.shard_size)
        if self.source.bands or shards >= counts:
            return build.shard_size
        return max(1, self.num_samples // counts)

    def tasks(self) -> list["Task"]:
        """All shards: slices of all (photograph, draw) pairs in their shuffled order."""
        build, digest_ = self.build, self.digest
        photos, draws = self.source.photos, build.draws
        order = self.source.order(draws=draws, seed=build.seed)[: self.num_samples]
        slices = self.source.slices(order, draws=draws, size=self.shard_size, bands=build.bands)
        tasks: list[Task] = []
        first = 0
        for shard, (bands, pairs) in enumerate(slices):
            samples = Samples(photos, pairs, draws=draws, first=first)
            tasks.append(Task(build=build, plan=digest_, shard=shard, bands=bands, samples=samples))
            first += len(samples)
        return tasks


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One planned shard: all that a worker process needs."""

    build: Build
    plan: str  # digest of the plan
    shard: int
    bands: int
    samples: Samples

    @property
    def stem(self) -> str:
        return f"shard-{self.shard:06d}"


def library_versions(*more: str) -> dict[str, str]:
    versions = {name: importlib.metadata.version(name) for name in (*_LIBRARIES, *more)}
    return versions | {"simgen engine": str(ENGINE)}
