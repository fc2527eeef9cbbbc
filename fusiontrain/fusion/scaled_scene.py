"""A scene fused in values of the size of DN, whatever the units of its files."""

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, replace

import torch

from fusiontrain.fusion.fuser import Fuser, no_progress
from fusiontrain.fusion.memory_plan import Plan
from fusiontrain.fusion.output_frame import in_output_frame
from fusiontrain.fusion.sensor_model import SensorModel, fullest_window
from fusiontrain.fusion.window_loop import FusedWindow
from fusiontrain.imaging.dn_factor import dn_factor
from fusiontrain.imaging.masks import ms_valid_mask
from fusiontrain.imaging.tiling import Box
from fusiontrain.scenes.dn_size import of_small_integers
from fusiontrain.scenes.geo_pair import GeoPair
from fusiontrain.scenes.guided_scene import GuidedScene
from fusiontrain.scenes.scene import SceneWrapper, Window, WindowedScene


@dataclass(frozen=True, kw_only=True, slots=True)
class ScaledScene(SceneWrapper):
    """The scene with MS and PAN times a factor each. Satisfies WindowedScene."""

    ms_factor: float
    pan_factor: float

    def read(self, box: Box) -> Window:
        window = self.scene.read(box)
        return replace(window, ms=window.ms * self.ms_factor, pan=window.pan * self.pan_factor)


def fused_windows(
    scene: WindowedScene,
    fuser: Fuser,
    sensor_model: SensorModel,
    plan: Plan,
    *,
    advance: Callable[[int], None] = no_progress,
) -> Generator[FusedWindow, None, None]:
    """The windows of Fuser.fuse, in the frame of the result and the units of the MS."""
    scaled, factor = in_dn_size(scene)
    moved, model = in_output_frame(scaled, sensor_model)
    with closing(fuser.fuse(moved, model, plan, advance=advance)) as windows:
        for window in windows:
            yield window if factor == 1 else replace(window, fused=window.fused / factor)


def in_dn_size(scene: WindowedScene) -> tuple[WindowedScene, float]:
    """The scene with values of the size of DN, and the factor that its MS has been given.

    Factors are dn_factor's. Groups of a guided scene have its factor when they are read.
    Raises: SceneError as fullest_window.
    """
    if isinstance(scene, GuidedScene):
        return scene, scene.factor
    if isinstance(scene, GeoPair) and of_small_integers(scene):
        return scene, 1.0
    window = fullest_window(scene)
    ms, pan = (
        dn_factor(float(torch.where(valid, image.abs(), 0).max()))
        for image, valid in (
            (window.ms, ms_valid_mask(window.valid, scene.ratio)),
            (window.pan, window.valid),
        )
    )
    if ms == pan == 1:
        return scene, 1.0
    return ScaledScene(scene=scene, ms_factor=ms, pan_factor=pan), ms
