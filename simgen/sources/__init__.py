"""Sources of images, by name."""

from collections.abc import Callable
from pathlib import Path

from simgen.errors import SourceError
from simgen.sources.demo import open_demo
from simgen.sources.folder import open_folder
from simgen.sources.huggingface import open_huggingface
from simgen.sources.imagenet import open_imagenet
from simgen.sources.skyscript import open_skyscript
from simgen.sources.source import Photo, Source, SourceOptions
from simgen.sources.tars import open_tar


def _open_scene(options: SourceOptions) -> Source:
    from simgen.sources.scene import open_scene  # rasterio loads only where it is needed

    return open_scene(options)


SOURCES: dict[str, Callable[[SourceOptions], Source]] = {
    "demo": open_demo,
    "folder": open_folder,
    "huggingface": open_huggingface,
    "imagenet": open_imagenet,
    "scene": _open_scene,
    "skyscript": open_skyscript,
    "tar": open_tar,
}


def open_source(
    name: str,
    root: Path | None,
    *,
    split: str | None = None,
    filters: tuple[str, ...] = (),
    tile: int = 256,
    ratio: int = 4,
    bands: tuple[int, ...] = (4, 8),
) -> Source:
    """The source's listing, in an order that depends on its data alone.

    tile, ratio, bands: what real scenes must have; photographs give any.
    """
    if name not in SOURCES:
        raise SourceError(f"no source {name!r}; have: {', '.join(SOURCES)}")
    options = SourceOptions(
        root=root, split=split, filters=filters, tile=tile, ratio=ratio, bands=bands
    )
    return SOURCES[name](options)


__all__ = ["SOURCES", "Photo", "Source", "open_source"]
