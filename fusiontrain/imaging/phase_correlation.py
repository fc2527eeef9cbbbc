"""How far MS lies beside PAN: phase correlation in windows. Pure.

Source: Kuglin and Hines 1975, Proc. IEEE Conf. Cybernetics and Society, 163-165; the peak between
samples by a parabola along each axis.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from fusiontrain.imaging.filters import degrade

WINDOW_SIDE = 256  # MS pixels of a window
_CREDIBLE = 6.0  # a peak's height in spreads of the plane it stands in
_AGREED = 0.5  # MS pixels by which windows may differ from their median


@dataclass(frozen=True, kw_only=True, slots=True)
class ShiftEstimate:
    """How MS must move to lie on PAN, MS pixels: it shows at (i, j) what PAN does further on."""

    rows: float
    columns: float
    agreeing: int  # windows near the median
    windows: int  # in all


def phase_correlate(ms: Tensor, pan: Tensor, ratio: int) -> tuple[float, float] | None:
    """(rows, columns) by which MS must be moved to lie on PAN, MS pixels; None: nothing to see.

    Shapes: (C, h, w) and (1, h * ratio, w * ratio), DN, without missing pixels.
    """
    gain = torch.full((1, 1), 0.3, dtype=torch.float64)
    low = degrade(pan[None].double(), gain, ratio)[0, 0]
    bands = ms.double()
    # The mixture of bands that looks like PAN: bands of other contrast would cancel in a mean.
    design = torch.stack([*bands, torch.ones_like(bands[0])]).flatten(1).T
    edges = [_whiten(image) for image in (low, *bands)]
    if design.shape[0] < 64 or any(edge is None for edge in edges):
        return None
    first, *others = [edge for edge in edges if edge is not None]
    plane = torch.stack([_correlate(first, other) for other in others]).mean(0)
    place = int(plane.argmax())
    row, column = divmod(place, plane.shape[1])
    if float((plane[row, column] - plane.mean()) / plane.std()) < _CREDIBLE:
        return None
    return _between(plane, row, column)


def combine_shifts(found: list[tuple[float, float] | None]) -> ShiftEstimate | None:
    """The median of what windows found, if most of them hold to it."""
    known = torch.tensor([pair for pair in found if pair is not None])
    if not len(known):
        return None
    middle = known.median(0).values
    near = (known - middle).abs().amax(1) <= _AGREED
    if int(near.sum()) * 2 < len(known):
        return None
    rows, columns = known[near].mean(0).tolist()
    return ShiftEstimate(rows=rows, columns=columns, agreeing=int(near.sum()), windows=len(found))


def _whiten(image: Tensor) -> Tensor | None:
    """The image's spectrum, its edges faded out."""
    spread = image.std()
    if float(spread) < 1e-9:
        return None
    h, w = image.shape
    fade = torch.hann_window(h, dtype=image.dtype)[:, None] * torch.hann_window(
        w, dtype=image.dtype
    )
    return torch.fft.fft2((image - image.mean()) / spread * fade)


def _correlate(first: Tensor, second: Tensor) -> Tensor:
    cross = first * second.conj()
    cross = cross / cross.abs().clamp_min(1e-12)
    # What is near Nyquist is noise to one of them: a soft low-pass keeps the peak round.
    h, w = cross.shape
    fy, fx = torch.fft.fftfreq(h)[:, None], torch.fft.fftfreq(w)
    return torch.fft.ifft2(cross * torch.exp(-((fy**2 + fx**2) / (2 * 0.15**2)))).real


def _between(plane: Tensor, row: int, column: int) -> tuple[float, float]:
    h, w = plane.shape
    found = []
    for size, place, line in (
        (h, row, [plane[(row + d) % h, column] for d in (-1, 0, 1)]),
        (w, column, [plane[row, (column + d) % w] for d in (-1, 0, 1)]),
    ):
        left, middle, right = (max(float(v), 1e-12) for v in line)
        # A Gaussian peak is a parabola of its logarithm.
        a, b, c = (torch.log(torch.tensor(v)).item() for v in (left, middle, right))
        curve = a - 2 * b + c
        offset = 0.5 * (a - c) / curve if curve < 0 else 0.0
        whole = place - size if place > size // 2 else place
        found.append(whole + max(-0.5, min(0.5, offset)))
    return found[0], found[1]
