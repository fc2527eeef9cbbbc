"""Short names of paths: as much of their ends as tells them apart."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path


def short_names(paths: Iterable[Path]) -> dict[Path, str]:
    """Each path, absolute, and its last part; those that share it have the folders before too."""
    whole = sorted({path.absolute() for path in paths})
    names = {path: path.name for path in whole}
    for depth in range(2, 1 + max((len(path.parts) for path in whole), default=0)):
        counts = Counter(names.values())
        for path in whole:
            if counts[names[path]] > 1:
                names[path] = "/".join(path.parts[1:][-depth:])
    return names
