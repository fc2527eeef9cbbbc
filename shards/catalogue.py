"""The catalogue: builds that someone published, one JSON file each in shards/catalog."""

import re
from dataclasses import dataclass
from pathlib import Path

from shards.bounded_reading import read_json
from shards.errors import ContractError
from shards.schema import KEY_GRAMMAR
from shards.stores import shown

CATALOG = Path(__file__).parent / "catalog"


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedBuild:
    """Where a build lies, and the digest that its manifest must have."""

    name: str
    url: str
    manifest: str  # sha256 of the manifest's canonical bytes
    licence: str

    def __post_init__(self) -> None:
        if not KEY_GRAMMAR.fullmatch(self.name):
            raise ContractError(f"a build's name has 1 to 80 of a-z 0-9 _ -; got {self.name!r}")
        if "://" not in self.url or shown(self.url) != self.url:
            raise ContractError(f"{self.name}: expected a URL without credentials or query")
        if not re.fullmatch(r"[0-9a-f]{64}", self.manifest):
            raise ContractError(f"{self.name}: manifest must be a sha256; got {self.manifest!r}")


def published_builds(folder: Path = CATALOG) -> dict[str, PublishedBuild]:
    """By name. Raises: ContractError naming the file that is not an entry."""
    found: dict[str, PublishedBuild] = {}
    for path in sorted(folder.glob("*.json")):
        try:
            entry = PublishedBuild(name=path.stem, **read_json(path))
        except (ValueError, TypeError) as error:
            raise ContractError(f"{path} is not a catalogue entry: {error}") from error
        found[entry.name] = entry
    return found
