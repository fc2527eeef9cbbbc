"""Where photographs come from: a name on the command line -> a Source."""

from collections.abc import Callable
from pathlib import Path

from simgen.errors import SourceError
from simgen.sources.demo import open_demo
from simgen.sources.folder import open_folder
from simgen.sources.source import Photo, Source

SOURCES: dict[str, Callable[[Path | None], Source]] = {"demo": open_demo, "folder": open_folder}


def open_source(name: str, root: Path | None) -> Source:
    """The source's listing, in an order that depends on its keys alone."""
    if name not in SOURCES:
        raise SourceError(f"no source {name!r}; have: {', '.join(SOURCES)}")
    return SOURCES[name](root)


__all__ = ["SOURCES", "Photo", "Source", "open_source"]
