"""The models there are: tables you can read, in table.py and table.py."""

from torch import nn

from fusiontrain.errors import UnknownModel
from fusiontrain.models.anyband.entries import ANY_BAND_ENTRIES
from fusiontrain.models.model_entry import WHOLE_IMAGE_HALO, ModelEntry
from fusiontrain.models.published.entries import PUBLISHED_ENTRIES

__all__ = ["MODELS", "WHOLE_IMAGE_HALO", "ModelEntry", "build_model", "find_model"]

MODELS = {entry.name: entry for entry in (*ANY_BAND_ENTRIES, *PUBLISHED_ENTRIES)}


def find_model(name: str) -> ModelEntry:
    """Raises UnknownModel, naming what exists."""
    if name not in MODELS:
        raise UnknownModel(f"no model {name!r}; have: {', '.join(MODELS)} ({__name__})")
    return MODELS[name]


def build_model(name: str, **sizes: int) -> nn.Module:
    """Raises UnknownModel; TypeError on a misspelt size."""
    return find_model(name).build(**sizes)
