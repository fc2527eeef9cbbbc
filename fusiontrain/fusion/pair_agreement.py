"""Whether PAN and MS show the same ground at the same place: a check that moves nothing."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from fusiontrain.imaging.phase_correlation import correlate_low, low_pan
from fusiontrain.imaging.shift_estimation import MAX_SHIFT
from fusiontrain.imaging.tiling import Box
from fusiontrain.scenes.scene import WindowedScene

_SIDE, _LEAST_SIDE = 128, 24  # MS pixels of a window
_FULL = 0.9  # share of its pixels that have data
_AGREE = 0.5  # MS pixels by which windows may miss a common, or a steadily varying, shift
_VARIES = 1.0  # MS pixels from one side of the scene to the other
_LEAST_WINDOWS = 4  # fewer cannot separate a varying shift from chance
_TEXTURED, _EXPLAINED = 0.5, 0.1  # shares of variance


@dataclass(frozen=True, kw_only=True, slots=True)
class PairAgreement:
    """Shares are of the variance of detail, over windows of the scene; None: no window has data."""

    explained: float | None = None  # of PAN's, by the bands where they lie
    shared: float | None = None  # of a band's, by the others: whether there is texture at all
    shift: tuple[float, float] | None = None  # rows, columns, MS pixels that register MS to PAN
    change: float = 0.0  # MS pixels by which that varies steadily over the scene
    resolved: bool = False  # registration moves the pair together, place by place

    @property
    def warning(self) -> str:
        """A line for the user where the pair seems to lie apart; else ""."""
        if self.resolved:
            return ""
        part = "" if self.explained is None else f"; the bands explain {100 * self.explained:.0f} %"
        part = part and f"{part} of PAN's detail where they lie"
        if self.change > _VARIES:
            return (
                f"PAN and MS seem to lie apart by a shift that varies by {self.change:.1f} MS "
                f"pixels over the scene{part}: orthorectify both on one elevation model; `match` "
                "moves by one shift only"
            )
        if self.shift is not None and max(map(abs, self.shift)) > MAX_SHIFT:
            rows, columns = self.shift
            return (
                f"PAN and MS seem to lie apart: MS would have to move by {rows:+.1f} rows, "
                f"{columns:+.1f} columns of MS pixels{part}: give `match`"
            )
        textured = self.shared is not None and self.shared > _TEXTURED
        unexplained = self.explained is not None and self.explained < _EXPLAINED
        if textured and unexplained and self.shift is None:
            return (
                "PAN and MS do not seem to show the same ground at the same place"
                f"{part}: try `match`, and see that they are of one pass"
            )
        return ""


def check_agreement(scene: WindowedScene) -> PairAgreement:
    """Phase correlation and shared detail of nine windows."""
    (h, w) = scene.shape
    side = min(_SIDE, max(_LEAST_SIDE, min(h, w) // 3), h, w)
    if side < _LEAST_SIDE:
        return PairAgreement()
    centres, shifts, explained, shared = [], [], [], []
    for top in sorted({0, (h - side) // 2, h - side}):
        for left in sorted({0, (w - side) // 2, w - side}):
            window = scene.read(Box(top=top, left=left, bottom=top + side, right=left + side))
            if float(window.valid.float().mean()) < _FULL:
                continue
            low = low_pan(window.pan, scene.ratio)
            share = _shares(window.ms, low)
            if share is None:
                continue
            explained.append(share[0])
            shared.append(share[1])
            shift = correlate_low(window.ms, low)
            if shift is not None:
                centres.append((top / h, left / w))
                shifts.append(shift)
    if not explained:
        return PairAgreement()
    common, change = _common_shift(torch.tensor(centres), torch.tensor(shifts))
    return PairAgreement(
        explained=sorted(explained)[len(explained) // 2],
        shared=sorted(shared)[len(shared) // 2],
        shift=common,
        change=change,
    )


def _shares(ms: Tensor, low: Tensor) -> tuple[float, float] | None:
    """Shares of detail: of PAN (`low_pan`) by the bands; of the first band by the others."""
    detail = torch.cat([low, ms.double()])
    detail = detail - F.avg_pool2d(detail[None], 5, 1, 2, count_include_pad=False)[0]
    flat = detail[:, 4:-4, 4:-4].reshape(len(detail), -1)
    if float(flat.std(1).min()) < 1e-6:
        return None
    flat = flat / flat.std(1, keepdim=True)
    own = _explained(flat[1], flat[2:]) if len(flat) > 2 else 0.0
    return _explained(flat[0], flat[1:]), own


def _explained(values: Tensor, by: Tensor) -> float:
    solution = torch.linalg.lstsq(by.T, values[:, None]).solution
    rest = values - (by.T @ solution)[:, 0]
    return 1 - float(rest.var() / values.var())


def _common_shift(centres: Tensor, shifts: Tensor) -> tuple[tuple[float, float] | None, float]:
    """The shift that most windows agree on, and MS pixels by which it varies steadily."""
    if not len(shifts):
        return None, 0.0
    middle = shifts.median(0).values
    agree = (shifts - middle).abs().amax(1) <= _AGREE
    if int(agree.sum()) * 2 >= len(shifts) + 1:
        rows, columns = shifts[agree].mean(0).tolist()
        return (rows, columns), 0.0
    if len(shifts) < _LEAST_WINDOWS:
        return None, 0.0
    design = torch.cat([centres, torch.ones(len(centres), 1)], 1)
    plane = torch.linalg.lstsq(design, shifts).solution
    fits = (shifts - design @ plane).abs().amax(1) <= _AGREE
    if int(fits.sum()) * 4 < 3 * len(shifts):
        return None, 0.0
    ends = design @ plane
    return None, float((ends.amax(0) - ends.amin(0)).max())
