"""Weights shipped with the package; no network access.

`default` and `default-open` give the target `scene`, the others the target `sensor`. `default`,
`default-sensor` and `small` were trained by `make weights` on photographs alone, `default-open` by
`make weights-open` on openly licensed ones; `pannet` and `swinir-small` are published networks to
start from, of such images too. Their model cards,
fusiontrain/weights/*.md, describe the training and the scores on scenes of sensors that were not
used in training.
"""

from pathlib import Path

from fusiontrain.errors import CheckpointError
from fusiontrain.models.checkpoints import SUFFIX
from fusiontrain.models.target import Target
from shards.near_names import did_you_mean

FOLDER = Path(__file__).parents[1] / "weights"
NAMES = ("default", "default-sensor", "small", "default-open", "pannet", "swinir-small")
DEFAULT, SENSOR = NAMES[:2]
BY_TARGET: dict[Target, str] = {"scene": DEFAULT, "sensor": SENSOR}


def find_weights(weights: str | Path | None = None, target: Target | None = None) -> Path:
    """The file of shipped weights by name, or the given path; None: the default of the target.

    A local file with the name of shipped weights is given as ./default.
    Raises: CheckpointError if there is no such file.
    """
    text = BY_TARGET[target or "scene"] if weights is None else str(weights)
    path = FOLDER / f"{text}{SUFFIX}" if text in NAMES else Path(text)
    if not path.is_file():
        raise CheckpointError(
            f"no weights at {path}; expected a {SUFFIX} file, or {', '.join(NAMES)}"
            f"{did_you_mean(text, NAMES)}"
        )
    return path


def weights_for_wald(path: Path) -> Path:
    """What Wald's protocol scores of these weights: of the shipped default the file of the target
    `sensor`, else the file itself.
    """
    return find_weights(SENSOR) if path == find_weights(DEFAULT) else path
