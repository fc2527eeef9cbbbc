"""An exponential moving average of the weights, validated and published in their place."""

import torch
from torch import Tensor, nn


class WeightEma:
    """`tensors` follows the state of a network, by the same names.

    After the n-th update the share kept of the old is min(decay, (1 + n) / (10 + n)), so that
    the first weights, which are drawn at random, are soon forgotten.
    Source: TensorFlow's ExponentialMovingAverage (num_updates); Polyak and Juditsky 1992.
    """

    def __init__(self, net: nn.Module, decay: float) -> None:
        self.decay, self.updates = decay, 0
        self.tensors = {name: value.detach().clone() for name, value in net.state_dict().items()}

    def update(self, net: nn.Module) -> None:
        self.updates += 1
        kept = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for name, value in net.state_dict().items():
            average, now = self.tensors[name], value.detach()
            if average.is_floating_point():
                average.lerp_(now, 1 - kept)
            else:
                average.copy_(now)  # a counter has no mean

    def load(self, tensors: dict[str, Tensor], updates: int) -> None:
        """Go on from a saved average. Raises: KeyError where a tensor is missing."""
        with torch.no_grad():
            for name, average in self.tensors.items():
                average.copy_(tensors[name])
        self.updates = updates
