"""GDAL's errors while it reads: some come with an array all the same, and must not pass."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from fusiontrain.errors import SceneError
from fusiontrain.scenes.gdal_environment import ReadError, reason
from shards.console import one_line

_LOGGER = logging.getLogger("rasterio._err")  # rasterio logs there what GDAL signals
_SIGNALLED = "GDAL signalled an error"
_IGNORED = "tag ignored"  # a list of blocks that libtiff leaves out


class _Collector(logging.Filter):
    """Notes errors of the thread that listens, and passes what would have been shown before."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = threading.local()

    def filter(self, record: logging.LogRecord) -> bool:
        errors = getattr(self.heard, "errors", None)
        message = record.getMessage()
        if errors is not None and (_SIGNALLED in message or _IGNORED in message):
            said = message.partition("msg=")[2].strip("'\"") or message
            errors.append(one_line(said.replace("\\n", " ")))
        return record.levelno >= logging.WARNING


_collector = _Collector()


@contextmanager
def read_errors() -> Iterator[list[str]]:
    """What GDAL signals in this thread during the block."""
    if _collector not in _LOGGER.filters:
        _LOGGER.addFilter(_collector)
    if not _LOGGER.isEnabledFor(logging.INFO):
        _LOGGER.setLevel(logging.INFO)
    errors: list[str] = []
    _collector.heard.errors = errors
    try:
        yield errors
    finally:
        _collector.heard.errors = None


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Raises: SceneError for every error of GDAL's, also one that it gives pixels with."""
    with read_errors() as errors:
        try:
            yield
        except ReadError as error:
            raise _damaged(name, reason(error)) from error
    if errors:
        raise _damaged(name, errors[0])


def _damaged(name: str, why: str) -> SceneError:
    return SceneError(
        f"{name} broke off while being read: {why}: the file is damaged or cut short; copy it again"
    )
