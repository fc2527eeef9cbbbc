"""Checks of shards before training: bad ones are named, and left out only within a tolerance."""

import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fusiontrain.data.shard_file import ShardRef, index_lines, parse_line
from fusiontrain.errors import TrainingError
from shards.errors import ContractError
from shards.manifest import Manifest
from shards.schema import ALL_NAMES, names_of
from shards.tolerance import Tolerance

OnBad = Literal["fail", "skip"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardSet:
    """A build to train on, and its share of all batches; None: as many as its samples make."""

    folder: Path
    share: float | None = None


class BadTolerance(Tolerance):
    """What may be left out: a percentage of all samples, or a number of shards."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> "BadTolerance":
        """`5%` of the samples, or a plain count of shards. Raises: TrainingError."""
        try:
            given = Tolerance.parse(text)
        except ValueError as error:
            raise TrainingError(
                f"`max_bad_shards` takes a percentage of samples like 5%, or a count; got {text!r}"
            ) from error
        return cls(percent=given.percent, count=given.count)

    def __str__(self) -> str:
        if self.percent is None:
            return f"{self.count} shards"
        return f"{self.percent:.3f}% of the samples"


FEW = BadTolerance(percent=5)
BadShard = dict[
    tuple[int, str], str
]  # (number of the set, the shard's name) -> what is wrong with it


def list_shards(folder: Path, manifest: Manifest) -> list[ShardRef]:
    return [ShardRef(folder=folder, manifest=manifest, row=row) for row in manifest.shards]


def find_bad_shards(
    sets: Sequence[ShardSet], *, hashes: bool, on_bad: OnBad, budget: BadTolerance = FEW
) -> BadShard:
    """The shards that are not as their manifests list them.

    Raises: ContractError at the first ("fail"), or where more than the budget lies in such shards
        ("skip").
    """
    found: BadShard = {}
    for place, one in enumerate(sets):
        keys: set[bytes] = set()
        for shard in list_shards(one.folder, Manifest.load(one.folder)):
            problems = list(shard.row.problems(shard.folder, hashes=hashes))
            problems = problems or list(_problems_within(shard, keys))
            if problems and on_bad == "fail":
                raise ContractError(
                    f"{one.folder}: {'; '.join(problems)}\n  do: copy the shard again, or train "
                    "without it (`on_bad_shard=skip`)"
                )
            if problems:
                found[place, shard.row.name] = f"{one.folder}: {'; '.join(problems)}"
    refuse_beyond(budget, found, sets)
    return found


def refuse_beyond(budget: BadTolerance, found: BadShard, sets: Sequence[ShardSet]) -> None:
    """Raises: ContractError where more lies in bad shards than may be left out."""
    total = lost = 0
    for place, one in enumerate(sets):
        for row in Manifest.load(one.folder).shards:
            total += row.samples
            lost += row.samples if (place, row.name) in found else 0
    if budget.exceeded(count=len(found), part=lost, whole=total):
        shown = "\n  ".join(list(found.values())[:5])
        raise ContractError(
            f"{len(found)} bad shards hold {lost} of {total} samples, over the budget of {budget} "
            f"(`max_bad_shards`); first:\n  {shown}"
        )


def _problems_within(shard: ShardRef, keys: set[bytes]) -> Iterator[str]:
    """What a shard of the right hash may still have: its maker's mistakes. Adds to `keys`."""
    end, mine = 0, set[bytes]()
    try:
        for number, line in enumerate(
            index_lines(shard.path.with_suffix(".idx"), shard.row.samples)[1:]
        ):
            places = parse_line(shard, line)
            names = sorted(place.name for place in places)
            whole = names_of(names)
            if names != sorted(whole) or len({place.key for place in places}) != 1:
                missing = ", ".join(sorted(set(whole) - set(names))) or "none"
                yield f"{shard.row.name}: sample {number} is none of the contract; lacks {missing}"
                return
            key = places[0].key.encode()
            if key in keys or key in mine:
                yield f"{shard.row.name}: the key {places[0].key} comes twice in the build"
                return
            mine.add(key)
            for place in sorted(places, key=lambda p: p.begin):
                if place.begin != end + tarfile.BLOCKSIZE:
                    yield _unlisted(shard)
                    return
                end = place.begin + -(-place.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
    except ContractError as error:
        yield str(error)
        return
    with shard.path.open("rb") as file:  # after the last member: an end mark, zeros to a record
        file.seek(end)
        tail = file.read(tarfile.RECORDSIZE + 2 * tarfile.BLOCKSIZE + 1)
    if end + len(tail) != shard.row.bytes or any(tail):
        yield _unlisted(shard)
        return
    keys |= mine


def _unlisted(shard: ShardRef) -> str:
    """What a tar holds beside its index's members."""
    try:
        with tarfile.open(shard.path, mode="r:") as tar:
            for info in tar:
                if not info.isfile() or info.name.partition(".")[2] not in ALL_NAMES:
                    return f"{shard.row.name}: refused member {info.name!r}"
    except tarfile.TarError:
        pass
    return f"{shard.row.name}: its index does not say what the tar holds"
