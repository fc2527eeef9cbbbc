"""ModelEntry: the registry's description of one network. Apart, since the tables need it too."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from torch import nn

WHOLE_IMAGE_HALO = 64  # PAN pixels, for networks whose receptive field is the whole input


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelEntry:
    """One network. `build` takes the keyword-only `sizes`."""

    name: str
    family: Literal["cnn", "transformer", "mamba", "unfolding", "own"]
    build: Callable[..., nn.Module]
    sizes: dict[str, int] = field(
        default_factory=dict
    )  # defaults; checkpoints record the sizes used
    params: int  # parameters at those sizes; tested
    published: str = "none"  # parameter count in the paper, and its number of bands
    flops: int  # per PAN pixel at those sizes, 2 per multiply-add; tested
    multiple_of: int = 1  # PAN pixels; windows of a scene start at multiples of it
    # Radius of the receptive field, PAN pixels at ratio 4; tested. None: the whole input, so that
    # windows of a scene larger than one window differ from the whole scene.
    reach: int | None
    freeze_tuning_prefixes: tuple[str, ...]  # names of the parameters that freeze-tuning trains
    continues: str = ""  # the model whose weights it can start from, besides its own
    paper: str

    @property
    def any_band(self) -> bool:
        """Whether one set of weights serves any number of bands."""
        return "bands" not in self.sizes

    def halo(self, ratio: int) -> int:
        """PAN pixels to read around a window; from ratio 4 on it grows with the ratio."""
        halo = WHOLE_IMAGE_HALO
        if self.reach is not None:
            halo = math.ceil(self.reach * max(ratio, 4) / 4)
        return -(-halo // self.multiple_of) * self.multiple_of
