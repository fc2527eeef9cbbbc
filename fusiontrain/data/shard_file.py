"""Samples of a shard by offset, as views of the mapped file: only pixels in use are read."""

import mmap
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

from fusiontrain.data.crops import Sample
from fusiontrain.errors import SceneError
from shards.errors import ContractError
from shards.manifest import Manifest, ShardRow
from shards.schema import (
    ALL_NAMES,
    ARRAYS,
    FACTS,
    MEMBER_NAMES,
    Buffer,
    Facts,
    check_shapes,
    decode_array,
    plain_members,
)

_MAX_INDEX = 2**28  # bytes of an index file
_OPEN = 400  # shards held open a process; systems allow 1024 files


@dataclass(frozen=True, kw_only=True)
class ShardRef:
    """A shard and the manifest that lists it."""

    folder: Path
    manifest: Manifest
    row: ShardRow

    @cached_property  # made anew for each sample, paths cost more than small crops
    def path(self) -> Path:
        return self.folder / self.row.name


class MemberSpan(NamedTuple):
    """A member's bytes in the tar."""

    name: str
    begin: int
    size: int
    key: str


def read_sample(shard: ShardRef, number: int) -> Sample:
    """One sample of a shard, its arrays views of the file. Raises: ContractError if not as listed.

    Only the contract's members are decoded; any other that the index names is refused. That DN
    fit their bits is not checked again: the shard's sha256 vouches for the writer's check.
    """
    data, lines = _open(shard.path, shard.row.samples, shard.row.bytes)
    # Reading past the end of a file that was cut while mapped would kill the process (SIGBUS).
    if data.size() != shard.row.bytes:
        raise ContractError(
            f"{shard.path}: expected {shard.row.bytes} bytes, got {data.size()}; copy it again"
        )
    spans = parse_line(shard, lines[number + 1])
    view = memoryview(data)
    members: dict[str, Buffer] = {s.name: view[s.begin : s.begin + s.size] for s in spans}
    keys = {s.key for s in spans}
    if len(keys) != 1 or len(members) != len(spans):
        raise ContractError(f"{shard.path}: sample {number} mixes {sorted(keys)}; copy it again")
    key, plain = keys.pop(), members
    try:
        if tuple(members) != MEMBER_NAMES:  # packed, in another order, or not all there
            plain = plain_members(members, largest=shard.manifest.largest_array(shard.row))
        facts = Facts.from_json(plain[FACTS])
        truth, ms, pan = (decode_array(plain[m.name], m.name) for m in ARRAYS)
        check_shapes(truth, ms, pan, facts)
    except ContractError as error:
        raise ContractError(f"{shard.path}: sample {key}: {error}") from error
    shard.manifest.check_sample(shard.row, key, truth.shape, facts.ratio)
    return Sample(truth=truth, ms=ms, pan=pan, facts=facts)


@lru_cache(maxsize=_OPEN)
def _open(path: Path, samples: int, length: int) -> tuple[mmap.mmap, list[str]]:
    """The mapped file, which lives as long as a view of it, and the index's lines."""
    lines = index_lines(path.with_suffix(".idx"), samples)
    try:
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), length, access=mmap.ACCESS_READ), lines
    except (OSError, ValueError) as error:  # ValueError: the file is shorter than that
        raise ContractError(f"{path} cannot be read ({error}); copy it again") from error


def forget_open() -> None:
    """Close all shards, so that the next sample opens its file again."""
    _open.cache_clear()


def index_lines(index: Path, samples: int) -> list[str]:
    """All lines of a DALI index, the header's too. Raises: ContractError."""
    try:
        if index.stat().st_size > _MAX_INDEX:
            raise ContractError(f"{index} is over {_MAX_INDEX} bytes; copy it again")
        lines = index.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError) as error:
        raise ContractError(f"{index} cannot be read: {error}") from error
    if lines[:1] != [f"v1.2 {samples}"] or len(lines) != samples + 1:
        raise ContractError(f"{index} does not list {samples} samples as v1.2; copy it again")
    return lines


def parse_line(shard: ShardRef, line: str) -> list[MemberSpan]:
    """Where the members of a sample lie. Raises: ContractError for any but the contract's."""
    words = line.split(" ")
    spans = []
    try:
        for name, offset, size, member in zip(*(words[i::4] for i in range(4)), strict=True):
            begin, count = int(offset), int(size)
            if name not in ALL_NAMES or begin < 0 or count < 0 or begin + count > shard.row.bytes:
                raise ContractError(
                    f"{shard.path}: its index names {member} at {offset}, {size} bytes: refused; a "
                    f"sample holds only {', '.join(MEMBER_NAMES)}"
                )
            key = member.partition(".")[0]
            spans.append(MemberSpan(name=name, begin=begin, size=count, key=key))
    except ValueError as error:
        raise ContractError(f"{shard.path}: a line of its index is damaged: {error}") from error
    return spans


def first_sample(folder: Path) -> Sample:
    """The first sample of the first shard."""
    manifest = Manifest.load(folder)
    manifest.check(folder)
    if not manifest.shards:
        raise SceneError(f"{folder} has no samples")
    return read_sample(ShardRef(folder=folder, manifest=manifest, row=manifest.shards[0]), 0)
