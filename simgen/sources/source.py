"""What every source gives."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from simgen.errors import SourceError


@dataclass(frozen=True, kw_only=True, slots=True)
class Photo:
    """One image of a source; read when its turn comes."""

    key: str  # unique and stable within the source
    path: Path
    size: int  # bytes

    def read(self) -> bytes:
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise SourceError(f"cannot read {self.path}: {error.strerror or error}") from error


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A listing. `licence` goes into the manifest of whatever is built from it."""

    name: str
    licence: str
    photos: tuple[Photo, ...]

    @property
    def digest(self) -> str:
        """Changes when a photograph is added, removed, renamed or resized on disk."""
        lines = "\n".join(f"{photo.size} {photo.key}" for photo in self.photos)
        return hashlib.sha256(lines.encode()).hexdigest()
