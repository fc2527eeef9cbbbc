"""Quality of a fused scene without a truth, and drift from the MS, on a few of its windows."""

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
_BLOCK = 32  # pixels; full-resolution indices go by blocks of it
_LEVELS = torch.linspace(0.01, 0.99, 99, dtype=torch.float64)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sample:
    """The middle of a fused window."""

    box: Box  # MS pixels
    fused: Tensor  # (C, H, W) DN
    valid: Tensor  # (H, W) bool


@dataclass(slots=True)
class QualitySampler:
    """Keeps a few fused windows as they are made: its memory does not grow with the scene."""

    scene: WindowedScene
    windows: int  # that will come
    samples: list[_Sample] = field(default_factory=list)
    _count: int = 0

    def add(self, window: FusedWindow) -> None:
        """Keep the middle of `window` if it is one of COUNT spread evenly over all that come."""
        every = max(1, self.windows // COUNT)
        chosen = self._count % every == every // 2 and len(self.samples) < COUNT
        self._count += 1
        ratio = self.scene.ratio
        unit = _BLOCK * ratio
        h, w = (min(SIDE, size * ratio) // unit * _BLOCK for size in window.core.shape)  # MS pixels
        if not chosen or min(h, w) == 0:
            return
        top = window.core.top + (window.core.shape[0] - h) // 2
        left = window.core.left + (window.core.shape[1] - w) // 2
        box = Box(top=top, left=left, bottom=top + h, right=left + w)
        rows, columns = box.scaled(ratio).inside(window.core.scaled(ratio))
        self.samples.append(
            _Sample(
                box=box,
                fused=window.fused[:, rows, columns].clone(),
                valid=window.valid[rows, columns].clone(),
            )
        )

    def evaluate(self, sensor_model: SensorModel) -> dict[str, Any]:
        """HQNR of the interpolated MS and of the fused image, and how far histograms moved.

        None where no window has data enough. HQNR: Aiazzi et al. 2014, GRSL; its gains are those
        of the sensor model's sensor.
        """
        gains = sensor_model.sensor.gains(self.scene.bands)
        drifts: list[dict[str, float]] = []
        before: list[float] = []
        after: list[float] = []
        for sample in self.samples:
            window, up = _with_interpolated(self.scene, sample.box)
            for image, values in ((up, before), (sample.fused, after)):
                values.extend(_hqnr(image, window, gains, self.scene.ratio, sample.valid))
            if bool(sample.valid.any()):
                drifts.append(_drift(up[:, sample.valid], sample.fused[:, sample.valid]))
        return {
            "windows": len(self.samples),
            "hqnr_before": _mean(before),
            "hqnr_after": _mean(after),
            "drift": {
                key: _mean([drift[key] for drift in drifts]) for key in ("mean", "spread", "shape")
            },
        }


def _hqnr(
    image: Tensor, window: Window, gains: tuple[float, ...], ratio: int, valid: Tensor
) -> list[float]:
    """[HQNR], or [] where no block is without nodata."""
    mask = None if bool(valid.all()) else valid
    try:
        spectral = d_lambda_k(image, window.ms, mtf=gains, ratio=ratio, valid=mask)
        spatial = d_s(image, window.ms, window.pan, ratio=ratio, valid=mask)
    except (MetricError, ShapeError):
        return []
    return [float((1 - spectral) * (1 - spatial))]


def _with_interpolated(scene: WindowedScene, box: Box) -> tuple[Window, Tensor]:
    """The pixels of `box`, and its MS on the PAN's grid as in the whole scene."""
    h, w = scene.shape
    padded = Box(
        top=max(0, box.top - LOBES),
        left=max(0, box.left - LOBES),
        bottom=min(h, box.bottom + LOBES),
        right=min(w, box.right + LOBES),
    )
    window = scene.read(padded)
    rows, columns = box.inside(padded)
    fine_rows, fine_columns = box.scaled(scene.ratio).inside(padded.scaled(scene.ratio))
    up = upsample(window.ms[None], scene.ratio, scene.phase)[0]
    cropped = Window(
        ms=window.ms[:, rows, columns],
        pan=window.pan[:, fine_rows, fine_columns],
        valid=window.valid[fine_rows, fine_columns],
    )
    return cropped, up[:, fine_rows, fine_columns]


def _drift(before: Tensor, after: Tensor) -> dict[str, float]:
    """Change of (C, N) DN, over the mean of the band: of means, spreads, 99 quantiles; the largest.

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
