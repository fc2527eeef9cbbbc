"""The registry of networks by name; the entries are in anyband/entries.py, published/entries.py."""

from torch import nn

from fusiontrain.errors import UnknownModel
from fusiontrain.models.anyband.entries import ANY_BAND_ENTRIES
from fusiontrain.models.model_entry import WHOLE_IMAGE_HALO, ModelEntry
from fusiontrain.models.published.entries import PUBLISHED_ENTRIES

__all__ = ["MODELS", "WHOLE_IMAGE_HALO", "ModelEntry", "build_model", "find_model"]

MODELS = {entry.name: entry for entry in (*ANY_BAND_ENTRIES, *PUBLISHED_ENTRIES)}


def find_model(name: str) -> ModelEntry:
    """The entry of a network.

    Raises: UnknownModel, with the names of all models.
    """
    if name not in MODELS:
        raise UnknownModel(f"no model {name!r}; have: {', '.join(MODELS)} ({__name__})")
    return MODELS[name]


def build_model(name: str, **sizes: int) -> nn.Module:
    """A new network with the given sizes.

    Raises: UnknownModel; TypeError for a size that the network does not have.
    """
    return find_model(name).build(**sizes)
