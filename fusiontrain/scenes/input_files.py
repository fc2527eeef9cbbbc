"""The files that inputs are read from, under whatever names they were given."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from fusiontrain.errors import SceneError
from fusiontrain.scenes.file_facts import FileFacts
from fusiontrain.scenes.named_files import vrt_sources

# What may stand before a path: file://, GTIFF_DIR:2:, /vsizip/, one after the other.
_PREFIX = re.compile(r"(?:file://|[A-Za-z][A-Za-z0-9_]+:(?:\d+:)?(?!//)|/vsi[a-z0-9]+/)")


def check_not_read(path: Path, inputs: Iterable[FileFacts]) -> None:
    """Raises: SceneError if `path`, which is to be written, is a file that an input is read from.

    Sidecars, sources of a VRT, archives and links count.
    """
    if not path.exists():
        return
    for facts in inputs:
        for name in facts.files:
            for file in _files_of(name):
                if path.samefile(file):
                    of = "" if name == str(file) else f" (of {facts.files[0]})"
                    raise SceneError(
                        f"the output {path} is one of the inputs{of}; give another name"
                    )


def _files_of(name: str) -> Iterator[Path]:
    """Files that exist under a name of GDAL's: an archive for what lies in it."""
    while True:
        for place in (Path(name), *Path(name).parents):
            if _is_file(place):
                yield place
                if place.suffix.lower() == ".vrt":
                    yield from filter(_is_file, vrt_sources(place))
                break
        shorter = _PREFIX.sub("", name, count=1) if _PREFIX.match(name) else name
        if shorter == name:
            return
        name = shorter.strip("\"'")


def _is_file(place: Path) -> bool:
    try:
        return place.is_file()
    except (OSError, ValueError):
        return False
