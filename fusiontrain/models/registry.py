"""The models there are: a table you can read."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from torch import nn

from fusiontrain.errors import UnknownModel
from fusiontrain.models.anyband import AnyBand


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelEntry:
    """One architecture. `build` takes keyword-only sizes."""

    name: str
    family: Literal["cnn", "transformer", "mamba"]
    build: Callable[..., nn.Module]
    sizes: dict[str, int] = field(default_factory=dict)  # the defaults, as checkpoints record them
    params: int  # at those sizes; a test counts them
    reach: int  # PAN pixels that an output pixel looks at on each side at ratio 4; tested
    tuned_when_frozen: tuple[str, ...]  # parameters that freeze-tuning trains, by their beginnings
    paper: str

    def halo(self, ratio: int) -> int:
        """PAN pixels to read around a window: what is counted in MS pixels grows with the ratio."""
        return math.ceil(self.reach * max(ratio, 4) / 4)


_ENTRIES = (
    ModelEntry(
        name="anyband",
        family="cnn",
        build=AnyBand,
        sizes={"width": 32, "blocks": 4},
        params=94_610,
        reach=120,
        # The head, and what scales features: FiLM is this network's norm.
        tuned_when_frozen=(
            "head",
            "trust",
            "condition",
            *(f"blocks.{i}.film" for i in range(4)),
        ),
        paper="panprior's own; injection of Vivone et al. 2018, doi:10.1109/TIP.2018.2819501",
    ),
)
MODELS = {entry.name: entry for entry in _ENTRIES}
DEFAULT = "anyband"


def find_model(name: str) -> ModelEntry:
    """Raises UnknownModel, naming what exists."""
    if name not in MODELS:
        raise UnknownModel(f"no model {name!r}; have: {', '.join(MODELS)} ({__name__})")
    return MODELS[name]


def build_model(name: str, **sizes: int) -> nn.Module:
    """Raises UnknownModel; TypeError on a misspelt size."""
    return find_model(name).build(**sizes)
