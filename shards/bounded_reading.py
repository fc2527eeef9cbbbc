"""Text of strangers: files of at most so many bytes, JSON and TOML nested no deeper than so."""

import json
import os
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MAX_BYTES = 1 << 24
MAX_DEPTH = 64  # of lists and tables within each other


def is_special(path: Path) -> bool:
    """Whether it is a device, a FIFO or a socket: to open one may wait for ever."""
    return path.exists() and not path.is_file() and not path.is_dir()


def read_bounded(path: Path, most: int = MAX_BYTES) -> bytes:
    """The bytes of a regular file.

    Raises: OSError; ValueError if it is a device, a FIFO or a socket, or has over `most` bytes.
    """
    # Without O_NONBLOCK, opening a FIFO waits for a writer.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with open(handle, "rb") as file:  # noqa: PTH123 - of a handle
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise ValueError("expected a regular file; got a device, a folder, a FIFO or a socket")
        data = file.read(most + 1)
    if len(data) > most:
        raise ValueError(f"expected at most {most} bytes; got more")
    return data


def read_json(path: Path, most: int = MAX_BYTES) -> Any:
    """Raises: OSError; ValueError if the file is over its limits or no JSON."""
    return parse_json(read_bounded(path, most))


def read_toml(path: Path, most: int = MAX_BYTES) -> dict[str, Any]:
    """Raises: OSError; ValueError if the file is over its limits or no TOML."""
    data = read_bounded(path, most)
    try:
        values = tomllib.loads(data.decode())
        _check_depth(values)
    except RecursionError:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels") from None
    return values


def parse_json(data: bytes | str) -> Any:
    """Raises: ValueError if it is no JSON, or nested deeper than MAX_DEPTH."""
    try:
        value = json.loads(data)
    except RecursionError:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels") from None
    _check_depth(value)
    return value


def _check_depth(value: Any) -> None:
    """What lies deeper would end in a RecursionError where it is printed or compared."""
    level = [value]
    for _ in range(MAX_DEPTH):
        inner: list[Any] = []
        for item in level:
            if isinstance(item, Mapping):
                inner += item.values()
            elif isinstance(item, list):
                inner += item
        level = [item for item in inner if isinstance(item, Mapping | list)]
        if not level:
            return
    raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
