"""PanBatch, the input of every network. Axes: B batch; C bands; H W PAN pixels; h w MS pixels."""

from dataclasses import dataclass, fields, replace
from typing import Literal

import torch
from torch import Tensor

from fusiontrain.errors import ShapeError

# Position of MS pixel i on the PAN grid: "aligned" ratio * i + (ratio - 1) / 2, as in GeoTIFFs;
# "toolbox" ratio * i + ratio // 2, as in the reference toolbox.
GridPhase = Literal["toolbox", "aligned"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Statistics:
    """Statistics of a scene, (B, C) each, DN. With them a window is fused like the whole scene."""

    ms_mean: Tensor
    ms_std: Tensor
    pan_mean: Tensor  # equal for all bands
    pan_std: Tensor
    gain: Tensor  # MTF-GLP-FS injection gain: DN of the band per DN of PAN
    weights: Tensor  # of the bands in the regression of PAN: DN of PAN per DN of the band
    dark: Tensor  # DN of the darkest ground: haze, for multiplicative injection models


@dataclass(frozen=True, kw_only=True, slots=True)
class PanBatch:
    """PAN and MS of the same ground, with the sensor model of each band."""

    ms: Tensor  # (B, C, h, w), DN as float
    pan: Tensor  # (B, 1, H, W), or (B, C, H, W) for a PAN of each band; DN as float
    ratio: int  # H = ratio * h
    mtf: Tensor  # (B, C), gain from the fused image to the MS, at the MS Nyquist
    softness: Tensor  # (B, C), MTF gain of the fused image at the PAN Nyquist
    statistics: Statistics | None = None  # None: of this batch
    phase: GridPhase = "aligned"  # position of MS pixels on the PAN grid

    def __post_init__(self) -> None:
        B, C, h, w = self.ms.shape
        sides = (h * self.ratio, w * self.ratio)
        if tuple(self.pan.shape) not in ((B, 1, *sides), (B, C, *sides)):
            raise ShapeError(
                f"PAN must be {(B, 1, *sides)}, or {C} of them, one a band, for MS "
                f"{tuple(self.ms.shape)} at ratio {self.ratio}; got {tuple(self.pan.shape)}"
            )
        for name in ("mtf", "softness"):
            if tuple(getattr(self, name).shape) != (B, C):
                raise ShapeError(
                    f"{name} must be {(B, C)}, one gain a band; "
                    f"got {tuple(getattr(self, name).shape)}"
                )

    @property
    def pan_per_band(self) -> bool:
        """Whether each of several bands has a PAN of its own."""
        return self.pan.shape[1] > 1

    def one_band_each(self) -> "PanBatch":
        """The same pixels as B * C images of one band, each with its own PAN.

        What each method makes of those, (B * C, 1, H, W), is a view of (B, C, H, W).
        """
        B, C = self.ms.shape[:2]
        stats = self.statistics
        if stats is not None:
            alone = {f.name: getattr(stats, f.name).reshape(B * C, 1) for f in fields(stats)}
            stats = Statistics(**alone)
        return replace(
            self,
            ms=self.ms.flatten(0, 1)[:, None],
            pan=self.pan.expand(B, C, -1, -1).flatten(0, 1)[:, None],
            mtf=self.mtf.reshape(B * C, 1),
            softness=self.softness.reshape(B * C, 1),
            statistics=stats,
        )

    def gains(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """MTF and softness, on `device`."""
        return move(self.mtf, device), move(self.softness, device)

    def to(self, device: torch.device) -> "PanBatch":
        """Images on `device`, asynchronously. Gains stay on the CPU: the sizes of kernels depend
        on their values, which a device would have to give back. `statistics` are not moved.
        """
        return replace(
            self,
            ms=self.ms.to(device, non_blocking=True),
            pan=self.pan.to(device, non_blocking=True),
        )


def move(numbers: Tensor, device: torch.device) -> Tensor:
    """Numbers on `device`; to a GPU pinned, so that no one waits for what it computes."""
    if device.type == "cuda" and not numbers.is_cuda:
        numbers = numbers.pin_memory()
    return numbers.to(device, non_blocking=True)
