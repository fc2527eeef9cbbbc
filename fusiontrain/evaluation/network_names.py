"""Names of networks in tables: of the file, or of the run whose folder holds it."""

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from fusiontrain.errors import SceneError
from shards.short_names import short_names

NETWORK = "network"
_OF_RUNS = {"model": "", "best": " best"}  # a run's files -> what ends the run's name

logger = logging.getLogger(__name__)


def network_names(paths: Sequence[Path]) -> list[str]:
    """One alone is `network`; of several, runs/a/model.safetensors is `network a`.

    Where two would have one name, both get the folders in which they differ, and a line says so.
    Raises: SceneError if one file is given twice.
    """
    if len(paths) == 1:
        return [NETWORK]
    whole = [path.absolute() for path in paths]
    twice = [path for path, count in Counter(p.resolve() for p in whole).items() if count > 1]
    if twice:
        raise SceneError(f"`weights` names one file twice: {twice[0]}")
    of_runs = short_names(map(_run, whole))
    names = [of_runs[_run(path)] + _OF_RUNS.get(path.stem, "") for path in whole]
    counts = Counter(names)  # a.safetensors and a/model.safetensors are alike still
    names = [
        f"{path.parent.name}/{path.name}" if counts[name] > 1 else name
        for path, name in zip(whole, names, strict=True)
    ]
    plain = Counter(_run(path).name + _OF_RUNS.get(path.stem, "") for path in whole)
    for name in (name for name, count in plain.items() if count > 1):
        alike = [n for path, n in zip(whole, names, strict=True) if _run(path).name in name]
        logger.info("several weights are named %s: %s", name, ", ".join(alike))
    return [f"{NETWORK} {name}" for name in names]


def _run(path: Path) -> Path:
    """The run's folder, or the file without its suffix."""
    return path.parent if path.stem in _OF_RUNS else path.with_suffix("")
