"""Networks from outside the package: `--model my_module:MyNet`, a plain nn.Module of (ms, pan).

Only a name that the user gave is imported: weights that name such a network do not load until
`use_own_network` was called with that name, so that no file decides what code runs.
"""

import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor, nn

from fusiontrain.errors import ShapeError, UnknownModel
from fusiontrain.imaging.pan_batch import PanBatch
from fusiontrain.models.model_entry import ModelEntry
from fusiontrain.models.published.base import FULL_SCALE, NetworkInputs, PublishedNetwork

OWN: dict[str, ModelEntry] = {}  # those that were asked for, by "module:Class"
_BANDS = 4  # of a network that takes `bands`, until shards say how many they have


def is_own(name: str) -> bool:
    """Whether a model's name is one of a module, not of the registry."""
    return ":" in name


def use_own_network(name: str) -> ModelEntry:
    """Import "module:Class" from the working directory or the environment, once.

    The class: an nn.Module of (ms (B, C, h, w), pan (B, 1, H, W)) -> (B, C, H, W), values over
    full scale, H and W multiples of OwnNetwork.multiple_of; built with `bands=` where its
    constructor has that parameter, else for any number of bands.
    Raises: UnknownModel if there is no such module, or no such class in it.
    """
    if name not in OWN:
        OWN[name] = _entry(name, _imported(name))
    return OWN[name]


class OwnNetwork(PublishedNetwork):
    """forward(PanBatch) -> (B, C, H, W) DN by a network of (ms, pan).

    `bands` None: the network takes any number. Raises: ShapeError if it gives another shape.
    """

    multiple_of: ClassVar[int] = 32

    def __init__(
        self, *, build: Callable[..., nn.Module], bands: int | None, full_scale: int
    ) -> None:
        super().__init__(bands=bands or 0, full_scale=full_scale)
        self.net = build() if bands is None else build(bands=bands)

    def fuse(self, inputs: NetworkInputs) -> Tensor:
        expected = (*inputs.ms.shape[:2], *inputs.pan.shape[2:])
        fused: Tensor = self.net(inputs.ms, inputs.pan)
        if not isinstance(fused, Tensor) or tuple(fused.shape) != expected:
            got = tuple(fused.shape) if isinstance(fused, Tensor) else type(fused).__name__
            raise ShapeError(
                f"{type(self.net).__name__}: of ms {tuple(inputs.ms.shape)} and pan "
                f"{tuple(inputs.pan.shape)} expected {expected}; got {got}"
            )
        return fused

    def _check(self, batch: PanBatch) -> None:
        if self.bands:
            super()._check(batch)


def _imported(name: str) -> type[nn.Module]:
    module_name, _, class_name = name.partition(":")
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # whatever a user's file raises
        raise UnknownModel(
            f"cannot import {module_name} of the model {name}: {type(error).__name__}: {error}\n"
            f"  do: run this where {module_name}.py lies, or install it"
        ) from error
    finally:
        sys.path.remove(here)
    found: Any = getattr(module, class_name, None)
    if not (inspect.isclass(found) and issubclass(found, nn.Module)):
        raise UnknownModel(
            f"{name}: expected a class {class_name} in {module_name} that is a torch.nn.Module; "
            f"got {'nothing of that name' if found is None else repr(found)}"
        )
    return found


def _entry(name: str, own: type[nn.Module]) -> ModelEntry:
    takes_bands = "bands" in inspect.signature(own).parameters
    sizes = {"bands": _BANDS} if takes_bands else {}
    sizes["full_scale"] = FULL_SCALE

    def build(*, bands: int | None = None, full_scale: int = FULL_SCALE) -> nn.Module:
        try:
            return OwnNetwork(build=own, bands=bands, full_scale=full_scale)
        except Exception as error:  # whatever a user's constructor raises
            raise UnknownModel(
                f"{name} cannot be built: {type(error).__name__}: {error}"
            ) from error

    net = build(**sizes)
    assert isinstance(net, OwnNetwork)
    children = [child for child, module in net.net.named_children() if list(module.parameters())]
    return ModelEntry(
        name=name,
        family="own",
        build=build,
        sizes=sizes,
        params=sum(p.numel() for p in net.parameters()),
        flops=0,
        multiple_of=OwnNetwork.multiple_of,
        reach=None,  # not known
        freeze_tuning_prefixes=(f"net.{children[-1]}.",) if children else ("net.",),
        paper="your own",
    )
