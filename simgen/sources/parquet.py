"""Images in parquet files, on disk or at any fsspec URL, by pyarrow's reader; its only import.

A task of an array reads the row groups that its shards need, in shuffled order, and no others.
`datasets` gives the files' URLs (imagenet.py) but not this: its streams read from the start of a
file, and its tables on disk are a copy of the whole set.
"""

import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, overload

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from simgen.errors import BuildError, SourceError
from simgen.sources.source import READ_WHOLE, Photo, digest_of

MAX_GROUP = 1 << 30  # bytes a row group may take in memory
_IMAGE = "image"
_EXPECTED = "a column 'image' of struct<bytes: binary, path: string>, as Hugging Face writes it"


@dataclass(frozen=True, slots=True)
class Cell:
    """One image of a row group."""

    url: str
    group: int
    row: int

    def read(self) -> bytes:
        try:
            data = _read_images(self.url, self.group)[self.row]
        except SourceError as error:
            if "://" not in self.url:
                raise
            # A connection that breaks says nothing about the image: stop, do not reject it.
            raise BuildError(f"{error}\n  do: run the same command again; it resumes") from error
        if data is None:
            raise SourceError("the row holds no image")
        return data


@dataclass(frozen=True, kw_only=True, slots=True)
class _Group:
    url: str
    number: int  # in its file
    first: int  # its first row, in the file
    rows: int
    bytes: int  # once unpacked


class Rows(Sequence[Photo]):
    """All rows of some files, keyed by file and row."""

    def __init__(self, groups: Sequence[_Group]) -> None:
        self._groups = groups
        self.blocks: list[int] = []  # where each row group begins
        self._total = 0
        for group in groups:
            self.blocks.append(self._total)
            self._total += group.rows

    def __len__(self) -> int:
        return self._total

    @overload
    def __getitem__(self, index: int) -> Photo: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Photo]: ...
    def __getitem__(self, index: int | slice) -> Photo | Sequence[Photo]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        i = range(len(self))[index]
        at = bisect_right(self.blocks, i) - 1
        group, row = self._groups[at], i - self.blocks[at]
        return Photo(
            key=f"{_stem(group.url)}-{group.first + row:07d}",
            size=group.bytes // group.rows,
            place=Cell(group.url, group.number, row),
        )


def list_rows(urls: Sequence[str]) -> tuple[Rows, str]:
    """The images of these files and a digest of them. Of large or remote files only footers count.

    Raises: SourceError naming the file that is no parquet, or holds no images.
    """
    groups: list[_Group] = []
    hasher = hashlib.sha256()
    for url in urls:
        with _opened(url) as (file, parquet):
            _check_schema(url, parquet.schema_arrow)
            # A remote name holds its revision; a local one may be moved.
            name = url if "://" in url else _stem(url)
            size = parquet.metadata.serialized_size
            hasher.update(f"{name} {size} {_footer_sha256(file)}\n".encode())
            groups += _groups(url, parquet.metadata)
    rows = Rows(groups)
    local = not any("://" in url for url in urls)
    if local and sum(group.bytes for group in groups) <= READ_WHOLE:
        hasher.update(digest_of(rows).encode())
    return rows, hasher.hexdigest()


def _groups(url: str, footer: Any) -> Iterator[_Group]:
    first = 0
    for number in range(footer.num_row_groups):
        info = footer.row_group(number)
        if info.total_byte_size > MAX_GROUP:
            raise SourceError(
                f"{url}: row group {number} takes {info.total_byte_size} bytes, over {MAX_GROUP}\n"
                "  do: write the file again with smaller row groups"
            )
        if info.num_rows:
            yield _Group(
                url=url, number=number, first=first, rows=info.num_rows, bytes=info.total_byte_size
            )
        first += info.num_rows


def _check_schema(url: str, schema: Any) -> None:
    kind: Any = schema.field(_IMAGE).type if _IMAGE in schema.names else pa.null()
    at = kind.get_field_index("bytes") if pa.types.is_struct(kind) else -1
    if at < 0 or kind.field(at).type not in (pa.binary(), pa.large_binary()):
        raise SourceError(f"{url} has the columns {', '.join(schema.names)}; expected {_EXPECTED}")


@lru_cache(maxsize=4)  # a shard takes its images from few of them
def _read_images(url: str, number: int) -> list[bytes | None]:
    with _opened(url) as (_, parquet):
        column = f"{_IMAGE}.bytes"
        try:
            table = parquet.read_row_group(number, columns=[column], use_threads=False)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise SourceError(f"{_stem(url)}: row group {number}: {error}") from error
    return [cell["bytes"] if cell else None for cell in table[_IMAGE].to_pylist()]


@contextmanager
def _opened(url: str) -> Iterator[tuple[Any, pq.ParquetFile]]:
    """The file's bytes and pyarrow's reader of them."""
    try:
        with _bytes(url) as file, pq.ParquetFile(file, pre_buffer=True) as parquet:
            yield file, parquet
    except (pa.ArrowException, OSError, ValueError) as error:
        raise SourceError(f"cannot read {url}: {str(error).partition(chr(10))[0]}") from error


def _bytes(url: str) -> Any:
    """A local name is opened as it is: fsspec would read a protocol or a pattern into some."""
    return fsspec.open(url, "rb") if "://" in url else Path(url).open("rb")


def _footer_sha256(file: Any) -> str:
    """Hash of the footer's bytes, which end eight bytes before the file does.

    By hand: pyarrow gives no raw footer, and its metadata.to_dict() ends the whole process on a
    damaged one.
    """
    size = file.seek(0, 2)
    file.seek(max(0, size - 8))
    length = min(int.from_bytes(file.read(4), "little"), max(0, size - 8))
    file.seek(size - 8 - length if length else 0)
    return hashlib.sha256(file.read(length)).hexdigest()


def _stem(url: str) -> str:
    return url.rpartition("/")[2].removesuffix(".parquet")
