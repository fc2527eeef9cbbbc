"""A folder of images, with or without subfolders."""

from pathlib import Path

from simgen.errors import SourceError
from simgen.sources.source import Photo, Source

ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm"})
LICENCE_FILES = ("LICENSE", "LICENSE.txt", "LICENCE", "LICENCE.txt")


def open_folder(root: Path | None) -> Source:
    """Every file below `root` that is named like an image, sorted by its relative path."""
    if root is None:
        raise SourceError("the folder source needs --source DIR (make: SOURCE=DIR)")
    if not root.is_dir():
        raise SourceError(
            f"no folder at {root.absolute()}\n  do: point --source at a folder of images"
        )
    paths = sorted(
        (p for p in root.rglob("*") if p.suffix.lower() in ENDINGS and p.is_file()),
        key=lambda p: p.relative_to(root).as_posix(),
    )
    if not paths:
        raise SourceError(
            f"no images below {root.absolute()}; expected files named {' '.join(sorted(ENDINGS))}"
        )
    photos = tuple(
        Photo(key=p.relative_to(root).as_posix(), path=p, size=p.stat().st_size) for p in paths
    )
    return Source(name="folder", licence=_licence(root), photos=photos)


def _licence(root: Path) -> str:
    for name in LICENCE_FILES:
        if (root / name).is_file():
            first = (root / name).read_text(errors="replace").strip().partition("\n")[0]
            return f"{name}: {first[:200]}"
    return "not stated by the folder; whoever shares these shards must know it"
