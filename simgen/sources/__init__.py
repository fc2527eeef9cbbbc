"""Where images come from: a name on the command line -> a Source."""

from collections.abc import Callable
from pathlib import Path

from simgen.errors import SourceError
from simgen.sources.demo import open_demo
from simgen.sources.folder import open_folder
from simgen.sources.imagenet import open_imagenet
from simgen.sources.skyscript import open_skyscript
from simgen.sources.source import Photo, Source, Wish
from simgen.sources.tars import open_tar

SOURCES: dict[str, Callable[[Wish], Source]] = {
    "demo": open_demo,
    "folder": open_folder,
    "imagenet": open_imagenet,
    "skyscript": open_skyscript,
    "tar": open_tar,
}


def open_source(
    name: str, root: Path | None, *, split: str | None = None, filters: tuple[str, ...] = ()
) -> Source:
    """The source's listing, in an order that depends on its data alone."""
    if name not in SOURCES:
        raise SourceError(f"no source {name!r}; have: {', '.join(SOURCES)}")
    return SOURCES[name](Wish(root=root, split=split, filters=filters))


__all__ = ["SOURCES", "Photo", "Source", "Wish", "open_source"]
