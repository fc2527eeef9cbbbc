"""Images cut into chunks that stay in a core's cache: the indices are memory-bound."""

from collections.abc import Iterator

import torch

_CPU = 1 << 16  # values of a chunk and thread: 512 KiB of float64, half of a usual L2 cache
_GPU = 1 << 24  # few large kernels, within a bounded memory


def budget(device: torch.device) -> int:
    """How many values a chunk may hold."""
    return _CPU * torch.get_num_threads() if device.type == "cpu" else _GPU


def chunks(
    planes: int, length: int, device: torch.device, *, each: int = 1, least: int = 1, wide: int = 1
) -> Iterator[tuple[slice, slice]]:
    """Slices that tile (planes, length), where a step of length holds `each` values.

    Pixels of bands: length is their number, each the bands. Rows: each is the width, and
    windows that overlap make chunks of fewer than `least` rows wasteful. `wide`: larger
    chunks for operations that gain little from the cache.
    """
    room = max(least, budget(device) * wide // each)
    together, step = (room // length, length) if length <= room else (1, room)
    for plane in range(0, planes, together):
        for start in range(0, length, step):
            yield slice(plane, plane + together), slice(start, min(start + step, length))
