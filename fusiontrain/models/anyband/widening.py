"""A wider network that gives what a narrower one gives, to train on from there.

New channels have random weights, and no weight leads from them to an old channel: the output is
the same, and training can use them from its first step.
Source: Net2Net, Chen, Goodfellow and Shlens 2016, arXiv 1511.05641.
"""

from torch import Tensor, nn


def widen(net: nn.Module, narrow: dict[str, Tensor]) -> None:
    """Set the weights of a new `net` from those of the same network with a smaller `width`.

    Raises: ValueError if a tensor is missing, or smaller in `net`.
    """
    state = net.state_dict()
    if sorted(state) != sorted(narrow):
        raise ValueError("a wider network has the same tensors; expected equal depth")
    for name, wide in state.items():
        # FiLM's outputs are scales, then shifts, of all channels.
        halves = 2 if ".film." in name else 1
        for into, old in zip(wide.chunk(halves), narrow[name].chunk(halves), strict=True):
            if any(a < b for a, b in zip(into.shape, old.shape, strict=True)):
                raise ValueError(f"{name} of {tuple(old.shape)} is wider than {tuple(wide.shape)}")
            _fill(into, old)


def _fill(into: Tensor, old: Tensor) -> None:
    """`old` into the first rows and columns; zeros in these rows elsewhere."""
    rows = into[: len(old)]
    rows.zero_()
    (rows if old.dim() == 1 else rows[:, : old.shape[1]]).copy_(old)
