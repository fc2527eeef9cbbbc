"""Means over sliding windows, strip by strip. Suffixes: P planes (images times bands)."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from fusiontrain.errors import ShapeError
from fusiontrain.metrics.cache_chunks import chunks
from fusiontrain.metrics.full_resolution_inputs import Kept, once
from fusiontrain.metrics.input_checks import Pair, refuse_empty

Quality = Callable[[Tensor, Tensor], Tensor]
OfOne = Callable[[Tensor], Callable[[Tensor], Tensor]]


def mean_of_windows(pair: Pair, side: int, quality: Quality, name: str) -> Tensor:
    """(N,): mean of a quality over all windows inside the image, then over bands.

    `quality` takes float64 (p, rows + side - 1, W) of both images and gives (p, rows,
    W - side + 1). A window counts only if all its pixels are valid: its moments mix them.
    Raises: ShapeError if the image is smaller than a window; MetricError if none counts.
    """
    N, C, H, W = pair.gt.shape
    count, whole = _countable(pair, side, name)
    rows = H - side + 1
    if whole is not None:
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


def mean_beside_one(
    pair: Pair, side: int, quality: OfOne, name: str, kept: Kept | None = None
) -> Tensor:
    """mean_of_windows() of every band beside pair.fused's first, whose own sums are shared.

    `quality` takes float64 (rows + side - 1, W) of that one, and gives the function of a band's.
    `kept`: a dictionary to give again with the same of these, for other bands.
    Raises: as mean_of_windows.
    """
    N, C, _, W = pair.gt.shape
    count, whole = _countable(pair, side, name)
    total = torch.zeros(N, C, dtype=torch.float64, device=pair.gt.device)
    rows = pair.gt.shape[2] - side + 1
    for some, run in chunks(N, rows, pair.gt.device, each=2 * W, least=side):
        reach = slice(run.start, run.stop + side - 1)
        for n in range(*some.indices(N)):
            place = f"{name}, {side}: {n}, {run.start} to {run.stop}"
            beside = once(kept, place, partial(_of_one, quality, pair.fused[n, 0, reach]))
            for c in range(C):
                values = beside(pair.gt[n, c, reach].double())
                if whole is not None:
                    values = torch.where(whole[n, run], values, 0)
                total[n, c] += values.sum()
    return total.mean(1) / count


def _of_one(quality: OfOne, image: Tensor) -> Callable[[Tensor], Tensor]:
    return quality(image.double())


def _countable(pair: Pair, side: int, name: str) -> tuple[Tensor, Tensor | None]:
    """(N,) windows that count, and which; None: all."""
    N, _, H, W = pair.gt.shape
    if min(H, W) < side:
        raise ShapeError(f"{name} needs {side} pixels a side; got {(H, W)}")
    if pair.valid is None:
        every = (H - side + 1) * (W - side + 1)
        return torch.full((N,), every, device=pair.gt.device), None
    whole = whole_windows(pair.valid, side)
    count = whole.sum((-2, -1))
    refuse_empty(count, f"{side}x{side} window without nodata")
    return count, whole


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
