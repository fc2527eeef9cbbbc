"""Weights shipped with the package, `default` and `small`; no network access is needed.

Trained by `make weights` on photographs alone. Their model cards, fusiontrain/weights/*.md,
describe the training and the scores on scenes of sensors that were not used in training.
"""

from pathlib import Path

from fusiontrain.models.checkpoints import SUFFIX

FOLDER = Path(__file__).parents[1] / "weights"
NAMES = ("default", "small")
DEFAULT = NAMES[0]


def find_weights(weights: str | Path | None = None) -> Path:
    """The file of shipped weights by name, or the given path; None: the default weights.

    A local file with the name of shipped weights is given as ./default.
    """
    text = DEFAULT if weights is None else str(weights)
    return FOLDER / f"{text}{SUFFIX}" if text in NAMES else Path(text)
