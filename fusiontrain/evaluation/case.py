"""A case: the inputs of every method, the same for all, and the truth where there is one."""

from collections import defaultdict
from dataclasses import dataclass, replace
from functools import cached_property

from torch import Tensor

from fusiontrain.classical.images import MethodInputs
from fusiontrain.classical.method import softened
from fusiontrain.classical.statistics import SceneStatistics
from fusiontrain.fusion.output_frame import in_output_frame
from fusiontrain.fusion.sensor_model import PairEstimate, SensorModel
from fusiontrain.imaging.pan_batch import PanBatch
from fusiontrain.imaging.shift_estimation import shift_image
from fusiontrain.imaging.tiling import Box
from fusiontrain.metrics.full_resolution_inputs import Kept
from fusiontrain.scenes.scene import Scene


@dataclass(frozen=True, kw_only=True)
class Case:
    """A scene under one protocol: the inputs of every method, and the truth where there is one."""

    name: str
    scene: Scene
    sensor_model: SensorModel
    truth: Tensor | None  # (C, H, W) DN; None at full resolution
    note: str = ""
    known: bool = False  # the truth is the ground itself, on PAN
    pair: PairEstimate | None = None  # where one estimate serves several sensor models

    @property
    def protocol(self) -> str:
        if self.known:
            return "known"
        return "full" if self.truth is None else "reduced"

    @property
    def batch(self) -> PanBatch:
        """The pair as it came."""
        return PanBatch(
            ms=self.scene.ms[None].float(),
            pan=self.scene.pan[None].float(),
            ratio=self.scene.ratio,
            mtf=self.sensor_model.mtf[None],
            softness=self.sensor_model.softness[None],
            phase=self.scene.phase,
        )

    @cached_property  # every network uses it
    def registered(self) -> PanBatch:
        """The pair as networks get it: PAN moved to where the MS lies, or in frame `pan` the MS."""
        shift = self.registered_model.shift
        return replace(
            self.batch,
            ms=self.registered_scene.ms[None].float(),
            pan=shift_image(self.registered_scene.pan.float(), shift)[None],
        )

    @cached_property
    def registered_scene(self) -> Scene:
        """The scene with bands in place; PAN is still to be moved by registered_model.shift."""
        moved, _ = in_output_frame(self.scene, self.sensor_model)
        if moved is self.scene:
            return self.scene
        h, w = self.scene.shape
        window = moved.read(Box(top=0, left=0, bottom=h, right=w))
        return replace(self.scene, ms=window.ms, pan=window.pan)

    @property
    def registered_model(self) -> SensorModel:
        """The sensor model of registered_scene."""
        return in_output_frame(self.scene, self.sensor_model)[1]

    @cached_property
    def kept(self) -> dict[str, Kept]:
        """What indices without a truth keep from one contender to the next, by what it is of."""
        return defaultdict(dict)

    def statistics(self, *, soft: bool, registered: bool) -> SceneStatistics:
        """Images and moments that classical methods share, computed when first used."""
        if (soft, registered) not in self._statistics:
            batch = self.registered if registered else self.batch
            inputs = MethodInputs(softened(batch) if soft else batch, self.scene.sensor)
            self._statistics[soft, registered] = SceneStatistics(inputs, valid=self.scene.valid)
        return self._statistics[soft, registered]

    @cached_property
    def _statistics(self) -> dict[tuple[bool, bool], SceneStatistics]:
        """By (soft, registered)."""
        return {}
