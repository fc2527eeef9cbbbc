"""What the registry says of a network."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from torch import nn

WHOLE_IMAGE_HALO = (
    64  # PAN pixels around the windows of a network that looks at all of what it is given
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelEntry:
    """One architecture. `build` takes keyword-only sizes."""

    name: str
    family: Literal["cnn", "transformer", "mamba", "unfolding"]
    build: Callable[..., nn.Module]
    sizes: dict[str, int] = field(default_factory=dict)  # the defaults, as checkpoints record them
    params: int  # at those sizes; a test counts them
    published: str = "none"  # the count in print, and at how many bands
    flops: int  # per PAN pixel at those sizes, 2 a multiply-add; a test counts them
    multiple_of: int = 1  # PAN pixels; the network's own grid, where its windows must start
    # PAN pixels that an output pixel looks at on each side at ratio 4; tested. None: all of them,
    # and a scene over fusing.CORE pixels fuses in windows that each know only themselves.
    reach: int | None
    freeze_tuning_prefixes: tuple[
        str, ...
    ]  # parameters that freeze-tuning trains, by their beginnings
    paper: str

    @property
    def any_band(self) -> bool:
        """One set of weights for any band count."""
        return "bands" not in self.sizes

    def halo(self, ratio: int) -> int:
        """PAN pixels to read around a window: what is counted in MS pixels grows with the ratio."""
        reach = (
            WHOLE_IMAGE_HALO if self.reach is None else math.ceil(self.reach * max(ratio, 4) / 4)
        )
        return -(-reach // self.multiple_of) * self.multiple_of
