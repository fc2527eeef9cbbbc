"""A product, read into what `fuse` takes: sharp bands, the others, and what is said of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fusiontrain.errors import SceneError
from fusiontrain.scenes.described_file import DescribedFile


@dataclass(frozen=True, kw_only=True, slots=True)
class Product:
    """`sharp`: the PAN, or several guides, which are then bands of the output too."""

    name: str
    kind: str  # "Sentinel-2 L2A", as messages name it
    sharp: tuple[DescribedFile, ...]
    ms: tuple[DescribedFile, ...]
    order: tuple[int, ...] = ()  # of the output's bands, from 1 in (*sharp, *ms); (): of ms
    notes: tuple[str, ...] = ()  # lines for the user
    place: Path | None = None  # what the user named, if it is a file or folder here

    def picked(self, bands: Sequence[int]) -> tuple[int, ...]:
        """`bands` of the output, from 1, in the numbers of `order`. Raises: SceneError."""
        if not bands or not self.order:
            return tuple(bands) or self.order
        if not all(1 <= band <= len(self.order) for band in bands):
            raise SceneError(f"bands of {self.name} go from 1 to {len(self.order)}; got {[*bands]}")
        return tuple(self.order[band - 1] for band in bands)


def tags_of(**values: str | None) -> dict[str, str]:
    """What metadata say of an acquisition, as tags of the output; what they do not say left out."""
    return {key: value for key, value in values.items() if value}
