"""Scenes at reduced resolution that bring their truth: PanCollection, PAirMax, X_gt.tif."""

import math
from dataclasses import replace

import torch
from torch import Tensor

from fusiontrain.errors import SceneError
from fusiontrain.evaluation.case import Case
from fusiontrain.evaluation.score_image import BLOCK, BORDER
from fusiontrain.fusion.sensor_model import (
    CRISP,
    PairEstimate,
    SensorModel,
    estimate_pair,
    estimate_sensor_model,
)
from fusiontrain.imaging.pan_batch import GridPhase
from fusiontrain.scenes.scene import Scene

_TOOLBOX_SHIFT = 0.5  # PAN pixels down and along, by which its grids differ at even ratios
_CLEARLY = 0.2  # PAN pixels by which the toolbox's phase must fit better


def with_own_truth(
    scene: Scene,
    truth: Tensor,
    softness: float | None,
    same_sensor: float | None,
    convention: GridPhase | None,
    pair: PairEstimate | None,
) -> Case:
    """The pair as it is. `convention` None: the scene's phase, or that which the pair shows.

    Default `softness`: in the toolbox's phase the crispest, since its protocol reduces PAN by a
    filter that is no sharper than the MS's own MTF; else `same_sensor`, the mean of the sensor's
    other scenes, or the sensor's mean MTF gain.
    Raises: SceneError if the scene is too small.
    """
    check_side(scene)
    phase, notes = convention or scene.phase, [scene.note]
    if convention is None and scene.phase == "aligned":
        pair = pair or estimate_pair(scene)
        if _decimated_as_the_toolbox(scene, pair):
            phase = "toolbox"
            notes.append(
                "PAN and MS lie half a PAN pixel apart, as the reference toolbox decimates: its "
                "phase is taken (`convention=aligned`: the pair as it came)"
            )
    if phase != scene.phase:
        scene, pair = replace(scene, phase=phase), None  # estimated in the other phase
    gains = torch.tensor(scene.sensor.gains(scene.bands))
    if phase == "toolbox":
        sensor_model = SensorModel(
            mtf=gains,
            softness=torch.full_like(gains, softness or CRISP),
            sensor=scene.sensor,
            shift=(pair or estimate_pair(scene)).shift,
        )
        mtf_source = "the sensor's MTF"
    else:
        # Only classical methods use the sensor itself, for PAN's own gain.
        gain = softness or same_sensor or float(gains.mean())
        estimated = estimate_sensor_model(scene, sensor=None, softness=gain, pair=pair)
        sensor_model = replace(estimated, sensor=scene.sensor)
        mtf_source = "an MTF estimated on the pair"
    return Case(
        name=scene.name,
        scene=replace(scene, gt=None),
        sensor_model=sensor_model,
        truth=truth,
        note=sentences(*notes, f"The data's own truth, {phase} phase, {mtf_source}"),
    )


def _decimated_as_the_toolbox(scene: Scene, pair: PairEstimate) -> bool:
    """Whether the pair's shift is clearly smaller once half a PAN pixel is taken from it."""
    left = math.hypot(*(x - _TOOLBOX_SHIFT for x in pair.shift))
    return scene.ratio % 2 == 0 and left < math.hypot(*pair.shift) - _CLEARLY


def check_side(scene: Scene) -> None:
    if min(scene.pan.shape[1:]) < 2 * BORDER + BLOCK:
        raise SceneError(
            f"{scene.name}: the indices need {2 * BORDER + BLOCK} PAN pixels a side; "
            f"got {scene.pan.shape[1]}x{scene.pan.shape[2]}"
        )


def sentences(*parts: str) -> str:
    return " ".join(f"{part[0].upper()}{part[1:].rstrip('.')}." for part in parts if part)
