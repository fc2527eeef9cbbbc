"""A network adapted to the very scene that it is to fuse, and kept only if that helps there.

One window of the scene is reduced by Wald's protocol. Two thirds of it teach (the truth is the
MS itself; the loss asks for consistency too), the other third, beyond a gap, is fused before and
after. Axes as in pan_batch.py.
"""

import copy
import time
from dataclasses import replace

import torch
from torch import Tensor, nn

from fusiontrain.errors import MetricError, SceneError, ShapeError
from fusiontrain.evaluation.protocols import BORDER, Case, reduced
from fusiontrain.fusion.fuse_scene import AdaptationResult, FusionJob
from fusiontrain.fusion.fuser import Fuser
from fusiontrain.fusion.network_fuser import NetworkFuser, fuse_network
from fusiontrain.fusion.options import AdaptationBudget
from fusiontrain.fusion.sensor_model import SensorModel, fullest_window
from fusiontrain.imaging.tiling import Box
from fusiontrain.metrics import ergas, sam
from fusiontrain.models.registry import ModelEntry
from fusiontrain.scenes.scene import LEAST_SIDE, Scene, WindowedScene
from fusiontrain.training.config import TrainConfig
from fusiontrain.training.one_shot import tune
from fusiontrain.training.recipes.one_shot import one_shot

MOST_STEPS = 200
TAUGHT = 2 / 3  # of the window's longer axis
GAP = 2  # reduced MS pixels between what teaches and what judges: blurs mix no more
_LEAST_STEPS = 4
_TRIED = 2  # steps by which one is timed


def adapt(
    fuser: Fuser, scene: WindowedScene, sensor_model: SensorModel, budget: AdaptationBudget
) -> tuple[Fuser, AdaptationResult]:
    """A fuser with the tuned network if it is better where it was not taught, else `fuser`.

    Seconds of the budget are turned into steps by timing a few; the same steps
    give the same network. Dice and recipe are fixed. `fuser` itself is not touched.
    """
    begun = time.monotonic()
    if not isinstance(fuser, NetworkFuser):
        raise SceneError("--adapt tunes a network; give --weights, and no classical --method")
    # Wald's protocol runs on the CPU; the caller's network stays where it is.
    net = copy.deepcopy(fuser.net).cpu()
    entry = fuser.entry
    try:
        lesson, test = _split(_window_case(scene, sensor_model))
        before = _measured(net, entry, test)
        steps = budget.steps
        if steps is None:
            left = budget.seconds - (time.monotonic() - begun)
            steps = _steps_in(left, net, entry, lesson)
        tuned = tune(net, entry, lesson, _config(steps))
        after = _measured(tuned, entry, test)
    except (MetricError, SceneError, ShapeError) as error:
        return fuser, AdaptationResult(kept=False, reason=str(error).splitlines()[0])
    found = AdaptationResult(
        kept=after[0] < before[0] and after[1] <= before[1],
        steps=steps,
        seconds=time.monotonic() - begun,
        ergas=(before[0], after[0]),
        sam=(before[1], after[1]),
    )
    return (replace(fuser, net=tuned.to(fuser.device)) if found.kept else fuser), found


def adapted(job: FusionJob) -> FusionJob:
    """With the network adapted to the scene, if that was asked for and helps; else as it is."""
    if job.options.adapt is None:
        return job
    fuser, result = adapt(job.fuser, job.pair, job.sensor_model, job.options.adapt)
    return replace(job, fuser=fuser, adaptation=result)


def _config(steps: int) -> TrainConfig:
    return replace(one_shot(), loss="consistent_l1", blend=1.0, max_steps=steps)


def _steps_in(seconds: float, net: nn.Module, entry: ModelEntry, lesson: Case) -> int:
    """Raises: SceneError if that is too short a time for any."""
    begun = time.monotonic()
    tune(net, entry, lesson, _config(_TRIED))
    step = (time.monotonic() - begun) / _TRIED
    steps = int((seconds - _TRIED * step) / step)
    if steps < _LEAST_STEPS:
        raise SceneError(
            f"a step takes {step:.1f} s here; expected --adapt of "
            f"{(_LEAST_STEPS + _TRIED + 1) * step:.0f} s or more"
        )
    return min(MOST_STEPS, steps)


def _window_case(scene: WindowedScene, sensor_model: SensorModel) -> Case:
    """Wald's protocol on the fullest of nine windows."""
    part = fullest_window(scene)
    held = Scene(
        name="the scene",
        ms=part.ms,
        pan=part.pan,
        valid=None if bool(part.valid.all()) else part.valid,
        sensor=sensor_model.sensor,
        phase=scene.phase,
    )
    return reduced(held, softness=sensor_model.ms_softness)


def _split(case: Case) -> tuple[Case, Case]:
    """What teaches, and what judges: along the longer axis.

    Raises: SceneError if the scene is too small for both.
    """
    h, w = case.scene.shape
    along, side = (0, h) if h >= w else (1, w)
    cut = int(side * TAUGHT)
    if min(h, w, cut, side - cut - GAP) < LEAST_SIDE:
        raise SceneError(
            f"the scene is too small to hold pixels out: {h}x{w} pixels of its reduced MS"
        )
    return _strip(case, along, 0, cut), _strip(case, along, cut + GAP, side)


def _strip(case: Case, along: int, start: int, stop: int) -> Case:
    h, w = case.scene.shape
    box = (
        Box(top=start, left=0, bottom=stop, right=w)
        if along == 0
        else Box(top=0, left=start, bottom=h, right=stop)
    )
    part, truth = case.scene.read(box), case.truth
    if truth is None:
        raise SceneError("adapting needs a truth")
    fine = box.scaled(case.scene.ratio)
    return replace(
        case,
        scene=replace(
            case.scene,
            ms=part.ms,
            pan=part.pan,
            valid=None if bool(part.valid.all()) else part.valid,
        ),
        truth=truth[:, fine.top : fine.bottom, fine.left : fine.right],
    )


def _measured(net: nn.Module, entry: ModelEntry, case: Case) -> tuple[float, float]:
    """ERGAS and SAM, the rim left out as in the benchmark."""
    if case.truth is None:
        raise SceneError("adapting needs a truth")
    fused = fuse_network(case.scene, net, case.sensor_model, halo=entry.halo(case.scene.ratio))
    rim = slice(BORDER, -BORDER)
    valid = None if case.scene.valid is None else case.scene.valid[rim, rim]
    with torch.inference_mode():
        pair: tuple[Tensor, Tensor] = case.truth[:, rim, rim], fused[:, rim, rim]
        error = ergas(*pair, ratio=case.scene.ratio, valid=valid)
        return float(error), float(sam(*pair, valid=valid))
