"""A folder of images, with or without subfolders."""

from pathlib import Path

from simgen.errors import SourceError
from simgen.sources.byte_ranges import File
from simgen.sources.source import (
    ENDINGS,
    Photo,
    Source,
    SourceOptions,
    digest_of,
    licence_beside,
    name_key,
)


def open_folder(options: SourceOptions) -> Source:
    """Every file below the root that is named like an image, sorted by its relative path."""
    root = options.only_root("folder")
    photos = list_folder(root)
    return Source(
        name="folder", licence=licence_beside(root), photos=photos, digest=digest_of(photos)
    )


def list_folder(root: Path) -> tuple[Photo, ...]:
    """Raises: SourceError if there is no folder, or no image in it."""
    if not root.is_dir():
        raise SourceError(
            f"no folder at {root.absolute()}\n  do: point `root` at a folder of images"
        )
    paths = sorted(
        (p for p in root.rglob("*") if p.suffix.lower() in ENDINGS and p.is_file()),
        key=lambda p: p.relative_to(root).as_posix(),
    )
    if not paths:
        raise SourceError(
            f"no images below {root.absolute()}; expected files named {' '.join(sorted(ENDINGS))}"
        )
    return tuple(
        Photo(key=name_key(p.relative_to(root).as_posix()), size=p.stat().st_size, place=File(p))
        for p in paths
    )
