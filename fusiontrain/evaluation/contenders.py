"""Networks that enter a benchmark or a report: loaded, named, and what is said of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from fusiontrain.errors import SceneError
from fusiontrain.evaluation.protocols import NETWORK, Contender, network
from fusiontrain.models.checkpoints import CheckpointInfo, load_checkpoint
from fusiontrain.models.pretrained_weights import find_weights
from fusiontrain.models.registry import ModelEntry, find_model
from shards.manifest import file_sha256


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkContender:
    """One network under the name that tables give it."""

    name: str
    net: nn.Module
    entry: ModelEntry
    info: CheckpointInfo
    fact: str

    @property
    def contender(self) -> Contender:
        return network(self.net, self.entry.halo, self.name)


def load_networks(weights: Sequence[Path]) -> Iterator[NetworkContender]:
    """Of paths and shipped names; one alone is `network`, several go by their files' names.

    Raises: CheckpointError; SceneError if two would have one name.
    """
    paths = [find_weights(path) for path in weights]
    names = [NETWORK if len(paths) == 1 else f"{NETWORK} {path.stem}" for path in paths]
    if len(set(names)) < len(names):
        raise SceneError("two weights of one name; give files with different names")
    for name, path in zip(names, paths, strict=True):
        net, info = load_checkpoint(path)
        training = info.training
        yield NetworkContender(
            name=name,
            net=net,
            entry=find_model(info.model),
            info=info,
            fact=(
                f"{info.model}, {sum(p.numel() for p in net.parameters()):,} parameters, trained "
                f"{training.get('steps', '?')} steps in {training.get('seconds', '?')} s, "
                f"sha256 {file_sha256(path)[:16]}"
            ),
        )
