"""A source: a listing of keyed images, each read when a shard needs it."""

import hashlib
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from shards.manifest import Rejected
from simgen.errors import SourceError

ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm"})
LICENCE_FILES = ("LICENSE", "LICENSE.txt", "LICENCE", "LICENCE.txt")
_MIXED = 256  # pairs that are shuffled together where reading is by blocks
READ_WHOLE = 1 << 30  # bytes: a smaller source is known by its contents


class ByteRange(Protocol):
    """The bytes of an image in a file or archive."""

    def read(self) -> bytes:
        """Raises: SourceError if they cannot be had, or are not what the listing said."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Photo:
    """One image of a source."""

    key: str  # unique and stable within the source
    size: int  # bytes, as listed
    place: ByteRange

    def read(self) -> bytes:
        return self.place.read()


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceOptions:
    """Options of a source."""

    root: Path | None = None
    split: str | None = None
    filters: tuple[str, ...] = ()
    # What a scene must have to give samples: photographs can give any.
    tile: int = 256
    ratio: int = 4
    bands: tuple[int, ...] = (4, 8)

    def only_root(self, name: str) -> Path:
        """The root, for sources that know nothing else."""
        self.refuse(name, split=True, filters=True)
        if self.root is None:
            raise SourceError(f"the {name} source needs `root` (make: SOURCE=...)")
        return self.root

    def refuse(self, name: str, *, split: bool = False, filters: bool = False) -> None:
        """SourceError if an option is given that this source would silently ignore."""
        if split and self.split is not None:
            raise SourceError(f"the {name} source has no splits; got `split={self.split}`")
        if filters and self.filters:
            raise SourceError(f"the {name} source takes no `filters`; got {self.filters[0]!r}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A listing. `licence` goes into the manifest of whatever is built from it."""

    name: str
    licence: str
    photos: Sequence[Photo]
    digest: str  # another one where other samples could come out
    rejected: tuple[Rejected, ...] = ()  # seen while listing, and never to be read
    blocks: tuple[int, ...] = ()  # where runs begin that are read as one, if they are
    bands: tuple[int, ...] = ()  # of each image, where they cannot be drawn

    def order(self, *, draws: int, seed: int) -> np.ndarray:
        """All (image, draw) pairs, as image * draws + draw, shuffled.

        Blocks are shuffled whole, then mixed with their new neighbours, a few hundred pairs
        together: a shard so reads few of them.
        """
        rng = np.random.default_rng(seed)
        total = len(self.photos) * draws
        if not self.blocks:
            return rng.permutation(total)
        ends = np.array([*self.blocks[1:], len(self.photos)]) * draws
        mixed: list[np.ndarray] = []
        pool: list[np.ndarray] = []
        for block in rng.permutation(len(self.blocks)):
            pool.append(np.arange(self.blocks[block] * draws, ends[block]))
            if sum(map(len, pool)) >= _MIXED:
                mixed.append(rng.permutation(np.concatenate(pool)))
                pool = []
        return np.concatenate([*mixed, *(rng.permutation(part) for part in pool)])

    def slices(
        self, order: np.ndarray, *, draws: int, size: int, bands: tuple[int, ...]
    ) -> Iterator[tuple[int, np.ndarray]]:
        """The pairs of each shard, and the band count that its samples share.

        Counts take turns; where the images have their own, those of one count go together.
        """
        if not self.bands:
            for shard, first in enumerate(range(0, len(order), size)):
                yield bands[shard % len(bands)], order[first : first + size]
            return
        own = np.array(self.bands)[order // draws]
        for count in np.unique(own):
            some = order[own == count]
            for first in range(0, len(some), size):
                yield int(count), some[first : first + size]


def digest_of(photos: Iterable[Photo]) -> str:
    """Changes when an image is added, removed, renamed or resized; in small sources, altered.

    Contents are read up to a gigabyte in all: beyond, that would cost as much as the build.
    """
    listed = list(photos)
    small = sum(photo.size for photo in listed) <= READ_WHOLE
    hasher = hashlib.sha256()
    for photo in listed:
        stamp = f"{checksum(photo):08x}" if small else "-"
        hasher.update(f"{photo.size} {stamp} {photo.key}\n".encode("utf-8", "surrogateescape"))
    return hasher.hexdigest()


def checksum(photo: Photo) -> int:
    """CRC-32 of the image's bytes."""
    try:
        return zlib.crc32(photo.read())
    except SourceError:
        return 0  # it will be rejected by name when its turn comes


def safe_key(name: str) -> str:
    """A key of the contract's grammar for an archive's member, whatever it is called.

    Readable where the name was, and unequal for unequal names by the hash at its end.
    """
    stem, dot, ending = name.rpartition(".")
    readable = stem if dot and f".{ending.lower()}" in ENDINGS else name
    plain = re.sub(r"[^a-z0-9_]+", "-", readable.lower()).strip("-")[-60:]
    mark = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:12]
    return f"{plain}-{mark}".lstrip("-")


def name_key(name: str) -> str:
    """The key of a file's name: the name itself, where it is UTF-8.

    Else its bytes that are none as escapes, and a hash behind two slashes, which no path of a
    file has: unequal names have unequal keys.
    """
    raw = name.encode("utf-8", "surrogateescape")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        shown = raw.decode("utf-8", "backslashreplace")
        return f"{shown}//{hashlib.sha256(raw).hexdigest()[:12]}"


def is_image(name: str) -> bool:
    """By its ending; macOS's resource forks and hidden files are not."""
    base = name.rpartition("/")[2]
    return not base.startswith(".") and Path(base).suffix.lower() in ENDINGS


def printable(text: str) -> str:
    """Someone's words, short and without what could steer a terminal."""
    return "".join(c if c.isprintable() else " " for c in text[:200])


def licence_beside(root: Path) -> str:
    """The first line of the licence that lies in the folder."""
    folder = root if root.is_dir() else root.parent
    for name in LICENCE_FILES:
        if (folder / name).is_file():
            first = (folder / name).read_text(errors="replace").strip().partition("\n")[0]
            return f"{name}: {printable(first)}"
    return "not stated by the folder; whoever shares these shards must know it"
