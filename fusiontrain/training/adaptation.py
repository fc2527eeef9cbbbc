"""A network adapted to the scene that it will fuse, and kept only if it is better there.

One window of the scene is reduced by Wald's protocol. The network is tuned on two thirds of it
(the truth is the MS itself; the loss includes consistency); the other third, beyond a gap, is fused
before and after. Axes as in pan_batch.py.
"""

import copy
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from fusiontrain.errors import MetricError, SceneError, ShapeError
from fusiontrain.evaluation.case import Case
from fusiontrain.evaluation.protocols import reduced
from fusiontrain.evaluation.score_image import BORDER
from fusiontrain.fusion.fuse_scene import AdaptationResult, FusionJob
from fusiontrain.fusion.fuser import Fuser
from fusiontrain.fusion.network_fuser import NetworkFuser, fuse_network
from fusiontrain.fusion.options import AdaptationBudget
from fusiontrain.fusion.scaled_scene import in_dn_size
from fusiontrain.fusion.sensor_model import SensorModel, fullest_window
from fusiontrain.fusion.window_loop import torch_threads
from fusiontrain.imaging.tiling import Box
from fusiontrain.metrics import ergas, sam
from fusiontrain.models.registry import ModelEntry
from fusiontrain.scenes.scene import LEAST_SIDE, Scene, WindowedScene
from fusiontrain.training.config import TrainConfig
from fusiontrain.training.fit import StepReport
from fusiontrain.training.one_shot import tune
from fusiontrain.training.recipes.one_shot import one_shot

MAX_STEPS = 200
TRAINING_SHARE = 2 / 3  # of the window's longer axis
GAP = 2  # reduced MS pixels between training and test: wider than the blur
_MIN_STEPS = 4
_TIMED_STEPS = 2  # to estimate the time of one


def adapt(
    fuser: Fuser,
    scene: WindowedScene,
    sensor_model: SensorModel,
    budget: AdaptationBudget,
    *,
    advance: Callable[[int, int], None] | None = None,
) -> tuple[Fuser, AdaptationResult]:
    """A fuser with the tuned network if it is better on the test part, else `fuser`.

    Seconds of the budget are turned into steps by timing a few; the same steps give the same
    network. Random streams and recipe are fixed. `fuser` itself is not changed. `advance` is
    called with the steps done and all steps.
    """
    begun = time.monotonic()
    if not isinstance(fuser, NetworkFuser):
        raise SceneError("`adapt` tunes a network; give `weights`, and no classical `method`")
    # Wald's protocol runs on the CPU; the network is tuned where it lies, and stays as it is.
    net = copy.deepcopy(fuser.net)
    entry = fuser.entry
    try:
        scaled, _ = in_dn_size(scene)  # the loss has a least spread in DN
        training, test = _split(_window_case(scaled, sensor_model))
        before = _scores(net, entry, test)
        steps = budget.steps
        if steps is None:
            left = budget.seconds - (time.monotonic() - begun)
            steps = _steps_in(left, net, entry, training)
        config = _config(steps)
        tuned = tune(net, entry, training, config, report=_counted(advance, config))
        after = _scores(tuned, entry, test)
    except (MetricError, SceneError, ShapeError) as error:
        return fuser, AdaptationResult(kept=False, reason=str(error).splitlines()[0])
    result = AdaptationResult(
        kept=after[0] < before[0] and after[1] <= before[1],
        steps=steps,
        seconds=time.monotonic() - begun,
        ergas=(before[0], after[0]),
        sam=(before[1], after[1]),
    )
    return (replace(fuser, net=tuned.to(fuser.device)) if result.kept else fuser), result


def adapted(job: FusionJob, *, advance: Callable[[int, int], None] | None = None) -> FusionJob:
    """The job with its network adapted to the scene, if its options ask for it and it helps."""
    if job.options.adapt is None:
        return job
    with torch_threads(job.threads):
        fuser, result = adapt(
            job.fuser, job.pair, job.sensor_model, job.options.adapt, advance=advance
        )
    return replace(job, fuser=fuser, adaptation=result)


def _counted(advance: Callable[[int, int], None] | None, config: TrainConfig) -> StepReport | None:
    if advance is None:
        return None
    return lambda done, *_: advance(done, config.max_steps)


def _config(steps: int) -> TrainConfig:
    return replace(one_shot(), loss="consistent_l1", blend=1.0, max_steps=steps)


def _steps_in(seconds: float, net: nn.Module, entry: ModelEntry, training: Case) -> int:
    """Raises: SceneError if that is too short a time for any."""
    begun = time.monotonic()
    tune(net, entry, training, _config(_TIMED_STEPS))
    step = (time.monotonic() - begun) / _TIMED_STEPS
    steps = int((seconds - _TIMED_STEPS * step) / step)
    if steps < _MIN_STEPS:
        raise SceneError(
            f"a step takes {step:.1f} s here; expected `adapt` of "
            f"{(_MIN_STEPS + _TIMED_STEPS + 1) * step:.0f} s or more"
        )
    return min(MAX_STEPS, steps)


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
    """The training part and the test part, along the longer axis.

    Raises: SceneError if the scene is too small for both.
    """
    h, w = case.scene.shape
    along, side = (0, h) if h >= w else (1, w)
    cut = int(side * TRAINING_SHARE)
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
        raise SceneError("adaptation needs a truth")
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


def _scores(net: nn.Module, entry: ModelEntry, case: Case) -> tuple[float, float]:
    """ERGAS and SAM without the border, as in the benchmark."""
    if case.truth is None:
        raise SceneError("adaptation needs a truth")
    fused = fuse_network(case.scene, net, case.sensor_model, halo=entry.halo(case.scene.ratio))
    inner = slice(BORDER, -BORDER)
    valid = None if case.scene.valid is None else case.scene.valid[inner, inner]
    with torch.inference_mode():
        pair: tuple[Tensor, Tensor] = case.truth[:, inner, inner], fused[:, inner, inner]
        error = ergas(*pair, ratio=case.scene.ratio, valid=valid)
        return float(error), float(sam(*pair, valid=valid))
