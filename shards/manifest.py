"""manifest.json: the list of what exists. Written last; what it does not list is not there."""

import hashlib
import json
import shlex
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from shards.atomic_write import whole_file
from shards.bounded_reading import parse_json, read_bounded
from shards.compression import Compression
from shards.errors import ContractError
from shards.schema import KEY_GRAMMAR, MEMBER_NAMES, PACKED_VERSION, VERSION, largest_array

NAME = "manifest.json"
PLAN_NAME = "build.json"  # of a build that has begun
_MOST_SHOWN = 8
MAX_MANIFEST = 1 << 28  # bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardRow:
    """One tar. `bands` is the C that all its samples share."""

    name: str  # file name beside the manifest, never a path
    samples: int
    bytes: int
    sha256: str
    index_sha256: str  # of the `.idx` beside it
    bands: int

    def __post_init__(self) -> None:
        _check_types(self)
        if self.samples < 1 or self.bytes < 1 or self.bands < 1:
            raise ContractError(f"{self.name}: samples, bytes and bands must be positive")
        stem, _, ending = self.name.partition(".")
        if ending != "tar" or not KEY_GRAMMAR.fullmatch(stem):
            raise ContractError(
                f"a shard is named [a-z0-9_-]+.tar beside its manifest; got {self.name!r}"
            )

    @property
    def index_name(self) -> str:
        return self.name.removesuffix(".tar") + ".idx"

    def problems(self, folder: Path, *, hashes: bool = True) -> Iterator[str]:
        """One line for each way in which the files in `folder` are not as listed."""
        path, index = folder / self.name, folder / self.index_name
        if not path.is_file():
            yield f"{self.name}: expected {self.bytes} bytes, got no file"
        elif (size := path.stat().st_size) != self.bytes:
            yield f"{self.name}: expected {self.bytes} bytes, got {size} (truncated or altered)"
        elif hashes and (digest := file_sha256(path)) != self.sha256:
            yield f"{self.name}: expected sha256 {self.sha256[:12]}, got {digest[:12]} (altered)"
        if not index.is_file():
            yield f"{self.index_name}: expected an index, got no file"
        elif hashes and file_sha256(index) != self.index_sha256:
            yield f"{self.index_name}: not the index of this tar (altered)"


@dataclass(frozen=True, kw_only=True, slots=True)
class Rejected:
    """An image that gave no sample, and why."""

    source: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """One build. Holds no time and no host, so that equal builds have equal manifests."""

    recipe: str
    recipe_hash: str
    recipe_data: dict[str, Any]
    seed: int
    tile: int  # PAN pixels a side
    ratio: int
    source: str
    licence: str
    libraries: dict[str, str]
    shards: tuple[ShardRow, ...]
    rejected: tuple[Rejected, ...] = ()
    contract_version: int = VERSION
    compression: Compression = ""  # of the arrays; stated in version 2 alone

    def __post_init__(self) -> None:
        _check_types(self)
        expected = {VERSION: [""], PACKED_VERSION: ["blosc2"]}.get(self.contract_version, [])
        if self.compression not in expected:
            raise ContractError(
                f"a manifest of version {self.contract_version} states compression {expected}; "
                f"got {self.compression!r}"
            )
        if len({row.name for row in self.shards}) != len(self.shards):
            raise ContractError("a manifest lists each shard once; got one name twice")

    @property
    def samples(self) -> int:
        return sum(row.samples for row in self.shards)

    def to_json(self) -> bytes:
        data = asdict(self)
        if not self.compression:  # what version 1 never had
            del data["compression"]
        return (json.dumps(data, indent=1, sort_keys=True) + "\n").encode()

    @property
    def digest(self) -> str:
        """sha256 of the manifest's bytes: names a training set in checkpoints."""
        return hashlib.sha256(self.to_json()).hexdigest()

    def dump(self, folder: Path) -> Path:
        path = folder / NAME
        with whole_file(path) as file:
            file.write(self.to_json())
        return path

    @classmethod
    def load(cls, folder: Path) -> "Manifest":
        """ContractError if absent, unreadable or of a version this code does not know."""
        check_finished(folder)
        path = folder / NAME
        try:
            data = read_bounded(path, MAX_MANIFEST)
        except ValueError as error:
            raise ContractError(f"{path} is not a manifest: {error}") from error
        return cls.parse(data, str(path))

    @classmethod
    def parse(cls, data: bytes, where: str) -> "Manifest":
        """From a file's bytes, wherever they came from; ContractError naming `where`."""
        try:
            raw = parse_json(data)
            version = raw["contract_version"]
        except (ValueError, KeyError, TypeError) as error:
            raise ContractError(
                f"{where} is not a manifest: {error!r}; rebuild or re-copy it"
            ) from error
        if version not in (VERSION, PACKED_VERSION):
            raise ContractError(
                f"{where} has contract version {version}; this panprior reads versions {VERSION} "
                f"and {PACKED_VERSION}"
            )
        try:
            raw["shards"] = tuple(ShardRow(**row) for row in raw["shards"])
            raw["rejected"] = tuple(Rejected(**row) for row in raw["rejected"])
            return cls(**raw)
        except (KeyError, TypeError) as error:
            raise ContractError(f"{where} lacks a field or has a strange one: {error}") from error

    def largest_array(self, row: ShardRow) -> int:
        """Bytes of the longest member in a shard, unpacked."""
        return largest_array(row.bands, self.tile)

    def check_sample(self, row: ShardRow, key: str, shape: tuple[int, ...], ratio: int) -> None:
        """ContractError unless a sample's gt shape and ratio are those of its shard and build."""
        expected = (row.bands, self.tile, self.tile)
        if shape != expected or ratio != self.ratio:
            raise ContractError(
                f"{row.name}: sample {key} must be {expected} at ratio {self.ratio}, as listed; "
                f"got {shape} at ratio {ratio}"
            )

    def problems(self, folder: Path, *, hashes: bool = True) -> Iterator[str]:
        """One line for each file that is not as listed; nothing if all are whole."""
        with ThreadPoolExecutor() as pool:  # hashing waits for the disk, or frees the interpreter
            for found in pool.map(lambda row: [*row.problems(folder, hashes=hashes)], self.shards):
                yield from found

    def check(self, folder: Path, *, hashes: bool = True) -> None:
        """ContractError naming every file that is not as listed."""
        found = list(self.problems(folder, hashes=hashes))
        if found:
            raise ContractError(
                f"{len(found)} files in {folder} are not what {NAME} lists:\n  "
                + "\n  ".join(found)
                + "\n  do: delete the named tars and build again, or copy them anew"
            )


def _check_types(record: ShardRow | Manifest) -> None:
    """ContractError if a plain field does not hold the type it is declared with."""
    plain = {"str": str, "int": int, "dict": dict}
    for field in fields(record):
        expected = plain.get(getattr(field.type, "__name__", str(field.type)))
        value = getattr(record, field.name)
        if expected is not None and type(value) is not expected:
            raise ContractError(
                f"{type(record).__name__}.{field.name} must be {expected.__name__}; got {value!r}"
            )


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_finished(folder: Path) -> None:
    """ContractError if no manifest lies there, saying what does and what would make a build."""
    if not (folder / NAME).is_file():
        raise ContractError(_why_none(folder))


def _why_none(folder: Path) -> str:
    """What a folder without a manifest is."""
    expected = f"no {NAME} in {folder}; expected a finished build"
    if folder.is_dir():
        tars = sorted(folder.glob("*.tar"))
    else:  # a tar, or a pattern of tars
        tars = sorted(p for p in folder.parent.glob(folder.name) if p.suffix == ".tar")
    if (folder / PLAN_NAME).exists():
        return f"{expected} (run `python -m simgen build` on it again: it resumes)"
    if not tars:
        return _how_to_make(folder, expected)
    found = sorted(_first_extensions(tars[0]))
    lacks = [name for name in MEMBER_NAMES if name not in found]
    return (
        f"{expected} of panprior, got {len(tars)} tars without {NAME} and .idx files; a sample of "
        f"{tars[0].name} holds {', '.join(found) or 'nothing'} and lacks "
        f"{', '.join(lacks) or 'nothing'}; "
        + (
            f"do: simgen build --dataset tar --source '{folder}' --out NEW, and train on NEW"
            if lacks
            else "do: copy the build's other files too"
        )
    )


def _how_to_make(folder: Path, expected: str) -> str:
    """For a folder without shards: of images, of builds, empty, or not there."""
    builds = sorted(folder.glob(f"*/{NAME}"))
    if builds:
        return f"{expected}; give one of the builds in it, as {builds[0].parent}"
    if folder.is_dir() and any(folder.glob("*")):
        source = shlex.quote(str(folder))
        return (
            f"{folder} holds no shards: make them with "
            f"`simgen build --dataset folder --source {source} --out DIR --bands 4`"
        )
    return f"{expected} (`simgen build --out {shlex.quote(str(folder))}` makes one of images)"


def _first_extensions(path: Path) -> set[str]:
    """The endings of the members that share the first one's name, as WebDataset groups them."""
    found: set[str] = set()
    first = None
    try:
        with tarfile.open(path, mode="r:") as tar:
            for info in tar:
                stem, _, ending = info.name.partition(".")
                first = first or stem
                if stem != first or len(found) > _MOST_SHOWN:
                    break
                found.add(ending[:20])
    except (tarfile.TarError, OSError, ValueError, OverflowError, EOFError):
        pass
    return found
