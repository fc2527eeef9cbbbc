"""The engine that options ask for: a network with its weights, or a classical method."""

import torch

from fusiontrain.classical import METHODS
from fusiontrain.errors import SceneError
from fusiontrain.fusion.classical_fuser import ClassicalFuser
from fusiontrain.fusion.fuser import Fuser
from fusiontrain.fusion.network_fuser import NetworkFuser
from fusiontrain.fusion.options import NETWORK, FusionOptions
from fusiontrain.models.checkpoints import load_checkpoint
from fusiontrain.models.pretrained_weights import find_weights
from fusiontrain.models.registry import find_asked, find_model
from shards.manifest import file_sha256


def make_fuser(options: FusionOptions) -> Fuser:
    """Raises: CheckpointError, SceneError if weights, model or device are not there."""
    if options.method == NETWORK:
        return make_network_fuser(options)
    find_device(options.device)  # refused if it is not there, though the CPU does the work
    return ClassicalFuser(method=METHODS[options.method])


def make_network_fuser(options: FusionOptions) -> NetworkFuser:
    """Raises: as make_fuser."""
    device = find_device(options.device)
    # `adapt` tunes by Wald's protocol: without `target` it starts from weights for that. Guides
    # are bands of the same sensor: the others are to look as they do.
    tuned = options.adapt is not None or (options.guided and options.weights is None)
    target = options.target or ("sensor" if tuned else None)
    weights = find_weights(options.weights, target)
    if options.model is not None:
        find_asked(options.model)
    net, info = load_checkpoint(weights, expect=options.model)
    if target not in (None, info.target):
        raise SceneError(
            f"{weights.name} gives the target {info.target}, not {target}: leave out `target` or "
            "`adapt`, or give other weights"
        )
    return NetworkFuser(
        net=net.to(device),
        entry=find_model(info.model),
        digest=file_sha256(weights),
        device=device,
        bf16=options.precision == "bf16",
        target=info.target,
        flips=options.quality == "best",
    )


def find_device(name: str) -> torch.device:
    """auto: a GPU if there is one. Raises: SceneError if there is no such device."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.ones(1, device=device).add(1).item()  # "meta" has shapes and no values
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = str(error).splitlines()[0]
        raise SceneError(f"`device={name}`: {reason}; expected auto, cpu or cuda") from error
    return device
