"""The tar layout of a shard: USTAR, ASCII names, no times, no owners.

Equal samples give equal bytes. Nothing is ever extracted: members are read by offset.
"""

import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from shards.errors import ContractError
from shards.index import MemberSpan
from shards.schema import ALL_NAMES, MEMBER_NAMES, check_key, names_of

MAX_MEMBER = 2**31


class Sink(Protocol):
    def write(self, data: bytes, /) -> int: ...


def write_samples(
    file: Sink, samples: Iterable[tuple[str, dict[str, bytes]]]
) -> list[list[MemberSpan]]:
    """Append (key, members) samples to an empty file; where each member's bytes came to lie."""
    places: list[list[MemberSpan]] = []
    offset = 0
    for key, members in samples:
        check_key(key)
        places.append([])
        for extension in names_of(members):
            data = members[extension]
            info = tarfile.TarInfo(f"{key}.{extension}")
            info.size, info.mode = len(data), 0o644
            # Not TarFile.addfile(): that copies by 16 kB, which takes longer than the disk does.
            file.write(info.tobuf(tarfile.USTAR_FORMAT))
            file.write(data)
            file.write(bytes(-info.size % tarfile.BLOCKSIZE))
            offset += tarfile.BLOCKSIZE
            places[-1].append(
                MemberSpan(extension=extension, offset=offset, size=info.size, name=info.name)
            )
            offset += info.size + -info.size % tarfile.BLOCKSIZE
    end = offset + 2 * tarfile.BLOCKSIZE
    file.write(bytes(end + -end % tarfile.RECORDSIZE - offset))
    return places


def read_samples(path: Path) -> Iterator[tuple[str, dict[str, bytes]]]:
    """(key, members) in order. ContractError on anything the contract does not allow.

    Slow and strict: for `verify`, `look` and tests. Training reads through webdataset.
    """
    key, members = "", dict[str, bytes]()
    try:
        with tarfile.open(path, mode="r:") as tar:
            for info in tar:
                stem, _, extension = info.name.partition(".")
                if not info.isfile() or extension not in ALL_NAMES:
                    raise ContractError(
                        f"{path.name}: refused member {info.name!r}; "
                        f"a shard holds only {', '.join(MEMBER_NAMES)}"
                    )
                if info.size > MAX_MEMBER:
                    raise ContractError(f"{path.name}: {info.name} claims {info.size} bytes")
                if stem != key and members:
                    if len(members) < len(names_of(members)):
                        _refuse_scattered(path, tar, key, stem)
                    yield _whole(path, key, members)
                    members = {}
                key = check_key(stem)
                if extension in members:
                    raise ContractError(f"{path.name}: {info.name} appears twice")
                data = tar.extractfile(info)
                members[extension] = data.read() if data is not None else b""
                if len(members[extension]) != info.size:
                    raise ContractError(f"{path.name}: truncated inside {info.name}")
    except tarfile.TarError as error:
        raise ContractError(f"{path.name}: not a whole tar: {error}") from error
    if members:
        yield _whole(path, key, members)


def _refuse_scattered(path: Path, tar: tarfile.TarFile, key: str, after: str) -> None:
    """ContractError if members of this sample come again behind those of another."""
    while (info := tar.next()) is not None:  # a loop over the tar would begin anew
        if info.name.partition(".")[0] == key:
            raise ContractError(
                f"{path.name}: the members of sample {key} lie apart, {info.name} behind those of "
                f"{after}; webdataset, Energon and Ray would read them as two samples"
            )


def _whole(path: Path, key: str, members: dict[str, bytes]) -> tuple[str, dict[str, bytes]]:
    names = names_of(members)
    missing = [name for name in names if name not in members]
    if missing:
        raise ContractError(f"{path.name}: sample {key} lacks {', '.join(missing)}; truncated?")
    if len(members) > len(names):
        raise ContractError(f"{path.name}: sample {key} has arrays both packed and plain")
    if tuple(members) != names:
        raise ContractError(
            f"{path.name}: the members of sample {key} must lie in the order {', '.join(names)}; "
            f"got {', '.join(members)}"
        )
    return key, members
