"""Names of networks in tables: of the file, or of the run whose folder holds it."""

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from fusiontrain.errors import SceneError

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
    names = [_name(path, 1) for path in whole]
    for name in [name for name, count in Counter(names).items() if count > 1]:
        alike = [i for i, other in enumerate(names) if other == name]
        deepest = max(len(whole[i].parts) for i in alike)
        for depth in range(2, deepest + 1):
            longer = [_name(whole[i], depth) for i in alike]
            if len(set(longer)) == len(alike):
                break
        else:  # a.safetensors and a/model.safetensors
            longer = [f"{whole[i].parent.name}/{whole[i].name}" for i in alike]
        for i, text in zip(alike, longer, strict=True):
            names[i] = text
        logger.info("several weights are named %s: %s", name, ", ".join(names[i] for i in alike))
    return [f"{NETWORK} {name}" for name in names]


def _name(path: Path, depth: int) -> str:
    """The last `depth` parts of the run's folder, or of the file without its suffix."""
    ending = _OF_RUNS.get(path.stem)
    run = path.with_suffix("") if ending is None else path.parent
    return "/".join(run.parts[1:][-depth:]) + (ending or "")
