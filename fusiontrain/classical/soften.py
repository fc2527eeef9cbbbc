"""The honest bar: a classical method told what the network is told, the blur of the MS."""

from collections.abc import Callable
from dataclasses import replace

from torch import Tensor

from fusiontrain.batch import PanBatch
from fusiontrain.filters import blur, gain_to_sigma


def on_soft_pan(method: Callable[[PanBatch], Tensor]) -> Callable[[PanBatch], Tensor]:
    """`method` on a PAN blurred to the batch's mean softness (gain at the PAN's Nyquist)."""

    def softened(batch: PanBatch) -> Tensor:
        sigma = gain_to_sigma(batch.softness.mean(1, keepdim=True), 1)
        return method(replace(batch, pan=blur(batch.pan, sigma)))

    return softened
