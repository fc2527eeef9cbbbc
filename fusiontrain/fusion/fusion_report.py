"""What --json says of a fused scene: quality without a truth, and drift, on a few windows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from fusiontrain.errors import MetricError, ShapeError
from fusiontrain.fusion.sensor_model import SensorModel
from fusiontrain.fusion.window_loop import FusedWindow
from fusiontrain.imaging.filters import LOBES, upsample
from fusiontrain.imaging.tiling import Box
from fusiontrain.metrics import d_lambda_k, d_s
from fusiontrain.scenes.scene import Window, WindowedScene

SIDE = 512  # PAN pixels of a window, at most
COUNT = 4
_BLOCK = 32  # by which full-resolution indices go
_LEVELS = torch.linspace(0.01, 0.99, 99, dtype=torch.float64)


@dataclass(frozen=True, kw_only=True, slots=True)
class Adaptation:
    """What came of it. Indices are of the pixels held out: before, after."""

    kept: bool
    steps: int = 0
    seconds: float = 0.0
    ergas: tuple[float, float] | None = None
    sam: tuple[float, float] | None = None
    reason: str = ""  # why nothing was tried

    def __str__(self) -> str:
        if self.ergas is None or self.sam is None:
            return f"not adapted: {self.reason}"
        verdict = "kept" if self.kept else "not better, so the network stays as it was"
        (error, then), (angle, later) = self.ergas, self.sam
        return (
            f"adapted to the scene in {self.steps} steps; on pixels held out ERGAS {error:.3f} -> "
            f"{then:.3f}, SAM {angle:.3f} -> {later:.3f}: {verdict}"
        )

    def as_data(self) -> Mapping[str, Any]:
        return {
            "kept": self.kept,
            "steps": self.steps,
            "seconds": round(self.seconds, 2),
            "ergas": self.ergas,
            "sam": self.sam,
            "reason": self.reason or None,
        }


@dataclass(slots=True)
class QualitySampler:
    """A few fused windows, kept as they come by: the memory does not grow with the scene."""

    scene: WindowedScene
    windows: int  # that will come
    kept: list[tuple[Box, Tensor, Tensor]] = field(default_factory=list)
    _seen: int = 0

    def see(self, part: FusedWindow) -> None:
        every = max(1, self.windows // COUNT)
        wanted = self._seen % every == every // 2 and len(self.kept) < COUNT
        self._seen += 1
        ratio = self.scene.ratio
        unit = _BLOCK * ratio
        sides = [min(SIDE, size * ratio) // unit * _BLOCK for size in part.core.shape]  # MS pixels
        if not wanted or min(sides) == 0:
            return
        top, left = ((size - side) // 2 for size, side in zip(part.core.shape, sides, strict=True))
        box = Box(top=top, left=left, bottom=top + sides[0], right=left + sides[1]).scaled(ratio)
        rows, columns = slice(box.top, box.bottom), slice(box.left, box.right)
        place = Box(
            top=part.core.top + top,
            left=part.core.left + left,
            bottom=part.core.top + top + sides[0],
            right=part.core.left + left + sides[1],
        )
        self.kept.append(
            (place, part.fused[:, rows, columns].clone(), part.valid[rows, columns].clone())
        )

    def judge(self, sensor_model: SensorModel) -> dict[str, Any]:
        """HQNR of the interpolated MS and of the fused, and how far histograms moved.

        None where no window has data enough. HQNR: Aiazzi et al. 2014, GRSL; its gains are those
        of the knowledge's sensor.
        """
        scene, drifts = self.scene, []
        before: list[float] = []
        after: list[float] = []
        gains = sensor_model.sensor.gains(scene.bands)
        for place, fused, valid in self.kept:
            every = valid if not bool(valid.all()) else None
            part, up = _with_interpolated(scene, place)
            for image, values in ((up, before), (fused, after)):
                try:
                    spectral = d_lambda_k(image, part.ms, mtf=gains, ratio=scene.ratio, valid=every)
                    spatial = d_s(image, part.ms, part.pan, ratio=scene.ratio, valid=every)
                except (MetricError, ShapeError):
                    continue
                values.append(float((1 - spectral) * (1 - spatial)))
            if bool(valid.any()):
                drifts.append(_drift(up[:, valid], fused[:, valid]))
        mean = {key: _mean([drift[key] for drift in drifts]) for key in ("mean", "spread", "shape")}
        return {
            "windows": len(self.kept),
            "hqnr_before": _mean(before),
            "hqnr_after": _mean(after),
            "drift": mean,
        }


def _with_interpolated(scene: WindowedScene, place: Box) -> tuple[Window, Tensor]:
    """The pixels of `place`, and its MS on the PAN's grid as in the whole scene."""
    h, w = scene.shape
    wide = Box(
        top=max(0, place.top - LOBES),
        left=max(0, place.left - LOBES),
        bottom=min(h, place.bottom + LOBES),
        right=min(w, place.right + LOBES),
    )
    part = scene.read(wide)
    (rows, columns), fine = (place.inside(wide), place.scaled(scene.ratio))
    fine_rows, fine_columns = fine.inside(wide.scaled(scene.ratio))
    up = upsample(part.ms[None], scene.ratio, scene.phase)[0]
    cut = Window(
        ms=part.ms[:, rows, columns],
        pan=part.pan[:, fine_rows, fine_columns],
        valid=part.valid[fine_rows, fine_columns],
    )
    return cut, up[:, fine_rows, fine_columns]


def _drift(before: Tensor, after: Tensor) -> dict[str, float]:
    """Of (C, N) DN, over the mean of the band: of means, of spreads, of 99 quantiles; the largest.

    The last is the distance that the histogram's mass moves (Wasserstein-1).
    """
    step = max(1, before.shape[1] // 2**18)  # torch.quantile takes no more than 16 M
    a, b = before[:, ::step].double(), after[:, ::step].double()
    size = a.mean(1).abs().clamp_min(1e-6)
    quantiles = [torch.quantile(x, _LEVELS, dim=1) for x in (a, b)]
    spreads = [x.std(1) for x in (a, b)]
    return {
        "mean": float(((b.mean(1) - a.mean(1)).abs() / size).max()),
        "spread": float((spreads[1] / spreads[0].clamp_min(1e-6) - 1).abs().max()),
        "shape": float(((quantiles[1] - quantiles[0]).abs().mean(0) / size).max()),
    }


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None
