"""The weights that come with the package: `--weights default` and `small`, offline.

Trained by `make weights` on photographs alone; their cards, fusiontrain/weights/*.md, say how,
and what they measured on scenes of sensors that they had never seen.
"""

from pathlib import Path

from fusiontrain.models.checkpoints import SUFFIX

FOLDER = Path(__file__).parents[1] / "weights"
NAMES = ("default", "small")
DEFAULT = NAMES[0]


def find_weights(asked: str | Path | None = None) -> Path:
    """A name's file in the package, or the path itself; None: the default.

    A file of one's own that is named like a shipped one is asked for as ./default.
    """
    text = DEFAULT if asked is None else str(asked)
    return FOLDER / f"{text}{SUFFIX}" if text in NAMES else Path(text)
