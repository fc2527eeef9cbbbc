"""PanBatch: all that models see. Axes: B batch; C bands; H W PAN pixels; h w MS pixels."""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from fusiontrain.errors import ShapeError

# Where MS pixel i lies on the PAN's grid: "aligned" at ratio * i + (ratio - 1) / 2, as in GeoTIFFs;
# "toolbox" at ratio * i + ratio // 2, as the reference toolbox decimates and interpolates.
GridPhase = Literal["toolbox", "aligned"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Statistics:
    """Radiometry of a scene, (B, C) each, DN. Given, a window fuses as the whole scene does."""

    ms_mean: Tensor
    ms_std: Tensor
    pan_mean: Tensor  # the same number for every band
    pan_std: Tensor
    gain: Tensor  # MTF-GLP-FS injection gain: DN of the band per DN of PAN
    weights: Tensor  # of the bands in PAN: DN of PAN per DN of the band
    dark: Tensor  # what the darkest ground has: haze, for methods that scale


@dataclass(frozen=True, kw_only=True, slots=True)
class PanBatch:
    """PAN and MS of the same ground; `phase` says where MS pixels lie on the PAN's grid."""

    ms: Tensor  # (B, C, h, w), DN as float
    pan: Tensor  # (B, 1, H, W), DN as float
    ratio: int  # H = ratio * h
    mtf: Tensor  # (B, C), gain from the wanted image to the MS at the MS Nyquist
    softness: Tensor  # (B, C), gain of the wanted image at its own Nyquist
    statistics: Statistics | None = None  # None: the batch's own
    phase: GridPhase = "aligned"

    def __post_init__(self) -> None:
        B, C, h, w = self.ms.shape
        expected = (B, 1, h * self.ratio, w * self.ratio)
        if tuple(self.pan.shape) != expected:
            raise ShapeError(
                f"PAN must be {expected} for MS {tuple(self.ms.shape)} at ratio {self.ratio}; "
                f"got {tuple(self.pan.shape)}"
            )
        for name in ("mtf", "softness"):
            if tuple(getattr(self, name).shape) != (B, C):
                raise ShapeError(
                    f"{name} must be {(B, C)}, one gain a band; "
                    f"got {tuple(getattr(self, name).shape)}"
                )

    def to(self, device: torch.device) -> "PanBatch":
        """The same on `device`, without waiting. Statistics stay where they are."""
        return replace(
            self,
            ms=self.ms.to(device, non_blocking=True),
            pan=self.pan.to(device, non_blocking=True),
            mtf=self.mtf.to(device, non_blocking=True),
            softness=self.softness.to(device, non_blocking=True),
        )
