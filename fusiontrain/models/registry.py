"""The registry of networks by name; the entries are in anyband/entries.py, published/entries.py."""

from torch import nn

from fusiontrain.errors import UnknownModel
from fusiontrain.models.anyband.entries import ANY_BAND_ENTRIES
from fusiontrain.models.model_entry import WHOLE_IMAGE_HALO, ModelEntry
from fusiontrain.models.own_network import OWN, is_own, use_own_network
from fusiontrain.models.published.entries import PUBLISHED_ENTRIES
from shards.near_names import did_you_mean

__all__ = ["MODELS", "WHOLE_IMAGE_HALO", "ModelEntry", "build_model", "find_asked", "find_model"]

MODELS = {entry.name: entry for entry in (*ANY_BAND_ENTRIES, *PUBLISHED_ENTRIES)}


def find_model(name: str) -> ModelEntry:
    """The entry of a network.

    Raises: UnknownModel, with the names of all models; for a network of one's own that was not
    asked for by use_own_network, with how to.
    """
    if name in OWN:
        return OWN[name]
    if is_own(name):
        raise UnknownModel(f"{name} is a network from outside the package: give `model={name}`")
    if name not in MODELS:
        guess = did_you_mean(name, MODELS)
        raise UnknownModel(f"no model {name!r}; have: {', '.join(MODELS)} ({__name__}){guess}")
    return MODELS[name]


def find_asked(name: str) -> ModelEntry:
    """The entry of a network that the user names, which may be "my_module:MyNet".

    Raises: UnknownModel.
    """
    return use_own_network(name) if is_own(name) else find_model(name)


def build_model(name: str, **sizes: int) -> nn.Module:
    """A new network with the given sizes.

    Raises: UnknownModel; TypeError for a size that the network does not have.
    """
    return find_model(name).build(**sizes)
