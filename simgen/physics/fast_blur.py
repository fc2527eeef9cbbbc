"""Blur and decimation as products of banded matrices: observe_kernels() of mtf.py, fast.

Rows and columns of the image may be taken in any order that mirroring makes: a scene that
is a crop and its mirror images is so observed without being laid out.
"""

from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

_BLOCK = 16  # coarse pixels a block at most


def observe_blocks(
    img_CHW: np.ndarray,
    kernels_CR2K: np.ndarray,
    *,
    step: int,
    down: np.ndarray | None = None,
    along: np.ndarray | None = None,
) -> np.ndarray:
    """Blur each band with its own kernel and keep every step-th pixel: phase, border of mtf.py.

    Shapes: (C, h, w) float32, (C, R, 2, K) -> (C, H/step, W/step) float32.
    Units:  down (H,), along (W,): which row and column of the image each of the scene's is;
            neighbours differ by one at most. None: the image is the scene.
    """
    down = np.arange(img_CHW.shape[1]) if down is None else down
    along = np.arange(img_CHW.shape[2]) if along is None else along
    C, height, width = img_CHW.shape[0], down.size // step, along.size // step
    out = np.empty((C, height, width), np.float32)
    rows = np.empty((C, height, img_CHW.shape[2]), np.float32)
    for r in range(kernels_CR2K.shape[1]):
        seen = np.empty_like(out) if r else out
        for to, at, block_CbK in _blocks(kernels_CR2K[:, r, 0], down, step):
            np.matmul(block_CbK, img_CHW[:, at], out=rows[:, to])
        for to, at, block_CbK in _blocks(kernels_CR2K[:, r, 1], along, step):
            np.matmul(rows[:, :, at], block_CbK.transpose(0, 2, 1), out=seen[:, :, to])
        if r:
            out += seen
    return out


def _blocks(
    taps_CK: np.ndarray, source: np.ndarray, step: int
) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """Pieces of the matrices that blur and decimate: coarse pixels, what they need, weights."""
    taps_CK = _trimmed(taps_CK)
    num_taps, coarse = taps_CK.shape[1], source.size // step
    side = next(n for n in range(min(_BLOCK, coarse), 0, -1) if coarse % n == 0)
    inner = np.zeros((taps_CK.shape[0], side, (side - 1) * step + num_taps), np.float32)
    for i in range(side):
        inner[:, i, i * step : i * step + num_taps] = taps_CK
    turned = np.ascontiguousarray(inner[:, :, ::-1])
    needed = np.pad(source, (num_taps - step) // 2, mode="symmetric")
    windows = sliding_window_view(needed, inner.shape[2])[:: side * step]
    moves = np.diff(windows, axis=1)
    kinds = np.where((moves == 1).all(1), 1, np.where((moves == -1).all(1), -1, 0))
    ends = zip(windows.min(1).tolist(), (windows.max(1) + 1).tolist(), strict=True)
    for i, (kind, (low, high)) in enumerate(zip(kinds.tolist(), ends, strict=True)):
        if kind:
            block = inner if kind > 0 else turned
        else:  # what a mirror doubles weighs twice
            block = inner @ (windows[i][:, None] == np.arange(low, high)).astype(np.float32)
        yield slice(i * side, (i + 1) * side), slice(low, high), block


def _trimmed(taps_CK: np.ndarray) -> np.ndarray:
    """Without the taps at both ends that are zero in every band."""
    used = np.flatnonzero(taps_CK.any(0))
    ends = min(used[0], taps_CK.shape[1] - 1 - used[-1]) if used.size else 0
    return taps_CK[:, ends : taps_CK.shape[1] - ends]
