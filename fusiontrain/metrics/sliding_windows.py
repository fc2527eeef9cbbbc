"""Means over sliding windows, strip by strip. Suffixes: P planes (images times bands)."""

from collections.abc import Callable

import torch
from torch import Tensor

from fusiontrain.errors import ShapeError
from fusiontrain.metrics.cache_chunks import chunks
from fusiontrain.metrics.input_checks import Pair, refuse_empty

Quality = Callable[[Tensor, Tensor], Tensor]


def mean_of_windows(pair: Pair, side: int, quality: Quality, name: str) -> Tensor:
    """(N,): mean of a quality over all windows inside the image, then over bands.

    `quality` takes float64 (p, rows + side - 1, W) of both images and gives (p, rows,
    W - side + 1). A window counts only if all its pixels are valid: its moments mix them.
    Raises: ShapeError if the image is smaller than a window; MetricError if none counts.
    """
    N, C, H, W = pair.gt.shape
    if min(H, W) < side:
        raise ShapeError(f"{name} needs {side} pixels a side; got {(H, W)}")
    rows = H - side + 1
    whole = None if pair.valid is None else whole_windows(pair.valid, side)
    count = torch.full((N,), rows * (W - side + 1), device=pair.gt.device)
    if whole is not None:
        count = whole.sum((-2, -1))
        refuse_empty(count, f"{side}x{side} window without nodata")
        whole = whole[:, None].expand(N, C, -1, -1).flatten(0, 1)
    x_PHW, y_PHW = pair.gt.flatten(0, 1), pair.fused.flatten(0, 1)
    total = torch.zeros(N * C, dtype=torch.float64, device=pair.gt.device)
    for some, run in chunks(N * C, rows, pair.gt.device, each=2 * W, least=side):
        reach = slice(run.start, run.stop + side - 1)
        values = quality(x_PHW[some, reach].double(), y_PHW[some, reach].double())
        if whole is not None:
            values = torch.where(whole[some, run], values, 0)
        total[some] += values.sum((-2, -1))
    return total.reshape(N, C).mean(1) / count


def whole_windows(valid: Tensor, side: int) -> Tensor:
    """(N, H, W) bool -> (N, H - side + 1, W - side + 1): windows whose pixels are all valid."""
    return box(valid.float(), side) == side * side


def box(image: Tensor, side: int) -> Tensor:
    """Sums over sliding side x side windows, 'valid': (..., H, W) -> (..., H-side+1, W-side+1).

    By doubling: 32 pixels take 5 additions an axis. Running sums take 2, but lose the small
    variances of bright windows in the rounding of the large total.
    """
    return _run(_run(image, side, -2), side, -1)


def _run(image: Tensor, side: int, axis: int) -> Tensor:
    out, place = None, 0
    power, width = image, 1
    length = image.shape[axis] - side + 1
    while True:
        if side & width:
            part = power.narrow(axis, place, length)
            out = part if out is None else out + part
            place += width
        if 2 * width > side:
            return image if out is None else out
        rest = power.shape[axis] - width
        power = power.narrow(axis, 0, rest) + power.narrow(axis, width, rest)
        width *= 2


def weigh(image: Tensor, half: tuple[float, ...]) -> Tensor:
    """Sums over sliding windows of symmetric separable weights, 'valid'.

    `half` holds the weights from the centre outwards. Shifted sums: float64 has no fast
    convolution, and a pair of equal weights needs one multiplication.
    """
    return _weigh(_weigh(image, half, -2), half, -1)


def _weigh(image: Tensor, half: tuple[float, ...], axis: int) -> Tensor:
    reach = len(half) - 1
    length = image.shape[axis] - 2 * reach
    out = image.narrow(axis, reach, length) * half[0]
    for distance in range(1, reach + 1):
        near, far = (image.narrow(axis, reach + d, length) for d in (-distance, distance))
        out.add_(near + far, alpha=half[distance])
    return out
