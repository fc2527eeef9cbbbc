"""Images in parquet files, on disk or at any fsspec URL, and in Arrow files on disk, by pyarrow.

A task of an array reads the row groups that its shards need, in shuffled order, and no others.
`datasets` gives the files' URLs (hub.py) but not this: its streams read from the start of a
file, and its tables on disk are a copy of the whole set.
"""

import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, overload

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from simgen.errors import BuildError, SourceError
from simgen.sources.source import READ_WHOLE, Photo, digest_of

MAX_GROUP = 1 << 30  # bytes a row group may take in memory
_IMAGE = "image"
_EXPECTED = "one column of struct<bytes: binary, path: string>, as Hugging Face writes images"
_ARROW = ".arrow"  # the stream that `save_to_disk` of `datasets` writes


@dataclass(frozen=True, slots=True)
class Cell:
    """One image of a row group."""

    url: str
    group: int
    row: int
    column: str = _IMAGE

    def read(self) -> bytes:
        try:
            data = _read_images(self.url, self.group, self.column)[self.row]
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

    def __init__(self, groups: Sequence[_Group], columns: Mapping[str, str]) -> None:
        """`columns`: that of the images, by URL."""
        self._groups, self._columns = groups, columns
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
            place=Cell(group.url, group.number, row, self._columns[group.url]),
        )


def list_rows(urls: Sequence[str], *, column: str | None = None) -> tuple[Rows, str]:
    """The images of these files and a digest of them. Of large or remote files only footers count.

    column: that of the images, where there are several.
    Raises: SourceError naming the file that is neither parquet nor Arrow, or holds no images.
    """
    _read_images.cache_clear()  # files may have changed since they were last listed
    groups: list[_Group] = []
    columns: dict[str, str] = {}
    hasher = hashlib.sha256()
    for url in urls:
        if url.endswith(_ARROW):
            columns[url], found = _list_arrow(url, column)
            counts = [group.rows for group in found]
            hasher.update(f"{_stem(url)} {Path(url).stat().st_size} {counts}\n".encode())
            groups += found
            continue
        with _opened(url) as (file, parquet):
            columns[url] = _image_column(url, parquet.schema_arrow, column)
            # A remote name holds its revision; a local one may be moved.
            name = url if "://" in url else _stem(url)
            size = parquet.metadata.serialized_size
            hasher.update(f"{name} {size} {_footer_sha256(file)}\n".encode())
            groups += _groups(url, parquet.metadata)
    rows = Rows(groups, columns)
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


def _list_arrow(path: str, column: str | None) -> tuple[str, list[_Group]]:
    groups: list[_Group] = []
    first = 0
    with _arrow_opened(path) as reader:
        name = _image_column(path, reader.schema, column)
        for number, batch in enumerate(reader):
            if batch.num_rows:
                groups.append(
                    _Group(
                        url=path,
                        number=number,
                        first=first,
                        rows=batch.num_rows,
                        bytes=batch.nbytes,
                    )
                )
            first += batch.num_rows
    return name, groups


def _image_column(url: str, schema: Any, wanted: str | None) -> str:
    found = [field.name for field in schema if _holds_images(field.type)]
    if wanted in found:
        return str(wanted)
    if wanted is None and len(found) == 1:
        return str(found[0])
    if wanted is None and len(found) > 1:
        raise SourceError(
            f"{url} has images in the columns {', '.join(found)}; "
            f"name one: `filters=column=={found[0]}`"
        )
    raise SourceError(f"{url} has the columns {', '.join(schema.names)}; expected {_EXPECTED}")


def _holds_images(kind: Any) -> bool:
    at = kind.get_field_index("bytes") if pa.types.is_struct(kind) else -1
    return at >= 0 and kind.field(at).type in (pa.binary(), pa.large_binary())


@lru_cache(maxsize=4)  # a shard takes its images from few of them
def _read_images(url: str, number: int, column: str) -> list[bytes | None]:
    if url.endswith(_ARROW):
        with _arrow_opened(url) as reader:
            batch = next(islice(reader, number, None), None)
            if batch is None:
                raise SourceError(f"{_stem(url)} has no batch {number} any more")
            cells = batch.column(column).to_pylist()
    else:
        with _opened(url) as (_, parquet):
            try:
                table = parquet.read_row_group(
                    number, columns=[f"{column}.bytes"], use_threads=False
                )
            except (pa.ArrowException, OSError, ValueError) as error:
                raise SourceError(f"{_stem(url)}: row group {number}: {error}") from error
        cells = table[column].to_pylist()
    return [cell["bytes"] if cell else None for cell in cells]


@contextmanager
def _arrow_opened(path: str) -> Iterator[Any]:
    """The batches of a stream, in mapped memory: those that are passed over are not read."""
    try:
        with pa.memory_map(path) as mapped, pa.ipc.open_stream(mapped) as reader:
            yield reader
    except (pa.ArrowException, OSError, ValueError) as error:
        raise SourceError(f"cannot read {path}: {str(error).partition(chr(10))[0]}") from error


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
    return url.rpartition("/")[2].removesuffix(".parquet").removesuffix(_ARROW)
