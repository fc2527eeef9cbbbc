"""EXP: interpolation alone, the floor of every comparison."""

from torch import Tensor

from fusiontrain.batch import PanBatch
from fusiontrain.filters import upsample


def exp(batch: PanBatch) -> Tensor:
    """MS on the PAN's grid, no detail added."""
    return upsample(batch.ms, batch.ratio)
