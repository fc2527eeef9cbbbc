"""A classical method as users and the benchmark call it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from fusiontrain.classical.images import MethodInputs
from fusiontrain.classical.statistics import SceneStatistics, StatisticsAccumulator
from fusiontrain.errors import ShapeError
from fusiontrain.imaging.filters import blur, gain_to_sigma
from fusiontrain.imaging.pan_batch import GridPhase, PanBatch
from shards.sensors import GENERIC, Sensor, find_sensor

SOFT = " soft"  # ends the name of a method on a softened PAN


@dataclass(frozen=True, kw_only=True, slots=True)
class Method:
    """A classical method. Pure: the same inputs, the same output.

    `formula` computes the fused (B, C, H, W) DN. `stacks` are the moments of the whole scene that
    it needs, in the order in which they can be collected; with them given, a window fuses as the
    scene does. `reach`: the MS pixels around an output pixel that it depends on. A method with a
    `window` depends on the whole image: large scenes are fused in windows of as many MS pixels a
    side, and `reach` around them.
    """

    name: str
    paper: str
    formula: Callable[[MethodInputs, SceneStatistics], Tensor]
    family: Literal["none", "CS", "MRA", "model"]
    stacks: tuple[str, ...] = ()
    darkest: bool = False
    reach: int = 12
    window: int | None = None
    blind: bool = False  # it depends on neither MTF nor softness
    soft: bool = False  # PAN is softened to the batch's softness first

    def __call__(
        self,
        ms: Tensor,
        pan: Tensor,
        sensor: Sensor | str = GENERIC,
        *,
        pan_softness: float | None = None,
        convention: GridPhase = "aligned",
    ) -> Tensor:
        """MS and PAN -> fused, all in DN: ms (C, h, w), pan (1, H, W) -> (C, H, W); or batched.

        `sensor` gives the MTF gains; `pan_softness`, a gain at the PAN's Nyquist in (0, 1),
        blurs PAN to that softness first. Raises: ShapeError unless PAN is a whole multiple of
        MS, or a "soft" method gets no pan_softness; ContractError for an unknown sensor.
        """
        row = find_sensor(sensor) if isinstance(sensor, str) else sensor
        single = ms.ndim == 3
        ms, pan = (ms[None], pan[None]) if single else (ms, pan)
        mtf = ms.new_tensor(row.gains(ms.shape[1]), dtype=torch.float64).expand(len(ms), -1)
        if self.soft and pan_softness is None:
            raise ShapeError(f"{self.name} needs pan_softness, a gain between 0 and 1")
        if pan_softness is not None:
            if not 0 < pan_softness < 1:
                raise ShapeError(f"pan_softness is a gain between 0 and 1; got {pan_softness}")
            pan = soften(pan.double(), mtf.new_full((len(pan), 1), pan_softness))
        batch = PanBatch(
            ms=ms,
            pan=pan,
            ratio=max(1, pan.shape[-2] // max(1, ms.shape[-2])),
            mtf=mtf,
            softness=torch.full_like(mtf, pan_softness or 0.5),
            phase=convention,
        )
        inputs = MethodInputs(batch, row)
        # Whole numbers are the caller's to round: DN may run over the type's end.
        dtype = ms.dtype if ms.is_floating_point() else torch.float32
        fused = self.formula(inputs, SceneStatistics(inputs)).to(dtype)
        return fused[0] if single else fused

    def fuse(
        self,
        batch: PanBatch,
        sensor: Sensor = GENERIC,
        collected: StatisticsAccumulator | None = None,
    ) -> Tensor:
        """(B, C, H, W), with the MTF and softness of `batch`; `collected` is of the whole scene."""
        if batch.pan_per_band:
            alone = self.fuse(batch.one_band_each(), sensor, collected)
            return alone.reshape(*batch.ms.shape[:2], *alone.shape[2:])
        inputs = MethodInputs(softened(batch) if self.soft else batch, sensor)
        return self.formula(inputs, SceneStatistics(inputs, collected)).to(batch.ms.dtype)


def softened(batch: PanBatch) -> PanBatch:
    """The same with its PAN blurred to the mean softness over the bands.

    It gives a classical method what the network is given: the blur of the MS.
    """
    return replace(batch, pan=soften(batch.pan, batch.softness.mean(1, keepdim=True)))


def soften(pan: Tensor, gain: Tensor) -> Tensor:
    """PAN (B, 1, H, W) blurred to a gain (B, 1) at its own Nyquist."""
    return blur(pan, gain_to_sigma(gain, 1))
