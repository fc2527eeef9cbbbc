"""Cutting images into pieces that stay in a core's cache: memory, not arithmetic, is slow."""

from collections.abc import Iterator

import torch

_CPU = 1 << 16  # values of a piece and thread: 512 KiB of float64, half of a usual second cache
_GPU = 1 << 24  # many kernels are slow there, and much memory is dear


def budget(device: torch.device) -> int:
    """How many values a piece may hold."""
    return _CPU * torch.get_num_threads() if device.type == "cpu" else _GPU


def pieces(
    planes: int, length: int, device: torch.device, *, each: int = 1, least: int = 1, wide: int = 1
) -> Iterator[tuple[slice, slice]]:
    """Slices that tile (planes, length), where a step of length holds `each` values.

    Pixels of bands: length is their number, each the bands. Rows: each is the width, and
    windows that overlap make pieces of fewer than `least` rows wasteful. Two operations a
    value profit little from the cache: their pieces may be `wide` times as large.
    """
    room = max(least, budget(device) * wide // each)
    together, step = (room // length, length) if length <= room else (1, room)
    for plane in range(0, planes, together):
        for start in range(0, length, step):
            yield slice(plane, plane + together), slice(start, min(start + step, length))
