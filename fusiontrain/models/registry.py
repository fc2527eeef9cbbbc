"""The models there are: tables you can read, in table.py and table.py."""

from torch import nn

from fusiontrain.errors import UnknownModel
from fusiontrain.models.anyband.table import ANY_BAND_ROWS
from fusiontrain.models.model_entry import OVERLAP, ModelEntry
from fusiontrain.models.published.table import PUBLISHED_ROWS

__all__ = ["MODELS", "OVERLAP", "ModelEntry", "build_model", "find_model"]

MODELS = {entry.name: entry for entry in (*ANY_BAND_ROWS, *PUBLISHED_ROWS)}


def find_model(name: str) -> ModelEntry:
    """Raises UnknownModel, naming what exists."""
    if name not in MODELS:
        raise UnknownModel(f"no model {name!r}; have: {', '.join(MODELS)} ({__name__})")
    return MODELS[name]


def build_model(name: str, **sizes: int) -> nn.Module:
    """Raises UnknownModel; TypeError on a misspelt size."""
    return find_model(name).build(**sizes)
