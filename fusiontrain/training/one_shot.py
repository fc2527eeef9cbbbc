"""One-shot: a network tuned on exactly one pair of the target sensor, by Wald's protocol.

The steps are fixed beforehand and nothing is evaluated while tuning: no validation, no early
stop, no other scene. Freeze-tuning trains only the parameters that the model's entry names.
"""

import copy
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from fusiontrain.data.crops import TrainingBatch
from fusiontrain.errors import SceneError
from fusiontrain.evaluation.case import Case
from fusiontrain.evaluation.leakage import refuse_shared_pixels
from fusiontrain.evaluation.protocols import reduced
from fusiontrain.fusion.network_fuser import fuse_network
from fusiontrain.imaging.pan_batch import GridPhase
from fusiontrain.models.registry import ModelEntry
from fusiontrain.scenes.discovery import SceneEntry
from fusiontrain.training.config import TrainConfig
from fusiontrain.training.fit import StepReport, fit
from fusiontrain.training.tuning_lines import TuningLines


def tune(
    net: nn.Module,
    entry: ModelEntry,
    case: Case,
    config: TrainConfig,
    *,
    report: StepReport | None = None,
) -> nn.Module:
    """A tuned copy of `net`; `net` itself is not touched. `case` must have a truth.

    `report`: as fit calls it. `config`: recipes.one_shot or one_shot_freeze, or as they are but for
    their numbers.
    Raises: SceneError without a truth, or where a crop does not fit.
    """
    if case.truth is None:
        raise SceneError(f"{case.name}: tuning needs a truth; use the reduced protocol")
    tuned = copy.deepcopy(net).train()
    prefixes = entry.freeze_tuning_prefixes
    fit(tuned, crops_of(case, config), config, freeze_prefixes=prefixes, report=report)
    with torch.no_grad():
        for start, end in zip(net.parameters(), tuned.parameters(), strict=True):
            end.lerp_(start.to(end), 1 - config.blend)
    return tuned.eval()


class OneShot:
    """A contender that is tuned anew for each scene, on one other scene of its sensor."""

    def __init__(
        self,
        net: nn.Module,
        entry: ModelEntry,
        *,
        config: TrainConfig,
        same_sensor_scenes: Mapping[str, Sequence[SceneEntry]],
        convention: GridPhase | None = None,
    ) -> None:
        """`same_sensor_scenes`: sensor -> its scenes, with those that will be scored."""
        self.net, self.entry, self.config = net, entry, config
        self.convention: GridPhase | None = convention
        self.same_sensor_scenes = same_sensor_scenes
        self.tuned: dict[str, nn.Module] = {}  # by the training scene's name
        self.training_scenes: dict[str, str] = {}  # scored scene -> training scene

    def __call__(self, case: Case) -> Tensor | None:
        """None where the sensor has no other scene that can be trained on."""
        # Scoring runs in inference mode; training cannot.
        with torch.inference_mode(False), torch.enable_grad():
            net = self._tuned_for(case)
        if net is None:
            return None
        halo = self.entry.halo(case.scene.ratio)
        return fuse_network(case.scene, net, case.sensor_model, halo=halo)

    def _tuned_for(self, case: Case) -> nn.Module | None:
        same_sensor_scenes = sorted(
            self.same_sensor_scenes.get(case.scene.sensor.name, ()), key=lambda entry: entry.name
        )
        scored = next(
            (entry.load() for entry in same_sensor_scenes if entry.name == case.name), None
        )
        if scored is None:
            return None
        # The next by name, cyclically: each scene trains the network of one other.
        names = [entry.name for entry in same_sensor_scenes]
        start = names.index(case.name)
        for entry in same_sensor_scenes[start + 1 :] + same_sensor_scenes[:start]:
            training_scene = entry.load()
            if (training_scene.bands, training_scene.ratio) != (scored.bands, scored.ratio):
                continue
            try:
                refuse_shared_pixels(training_scene, scored)
                training_case = reduced(training_scene, convention=self.convention)
            except SceneError:
                continue
            self.training_scenes[case.name] = training_scene.name
            if training_scene.name not in self.tuned:
                self.tuned[training_scene.name] = self._tune(training_case)
            return self.tuned[training_scene.name]
        return None

    def _tune(self, case: Case) -> nn.Module:
        """Lines say how far it is; on a terminal the benchmark's bar stands alone."""
        lines = TuningLines(f"tuning on {case.name}", self.config.max_steps)
        report = None if sys.stderr.isatty() else lines
        return tune(self.net, self.entry, case, self.config, report=report)


def crops_of(case: Case, config: TrainConfig) -> Iterator[TrainingBatch]:
    """Random crops, flipped and turned; the whole pair where it is smaller.

    Raises: SceneError without a truth, or where a crop does not fit.
    """
    whole_truth = case.truth
    scene, ratio = case.scene, case.scene.ratio
    h, w = scene.shape
    side = min(config.crop // ratio, h, w)
    if whole_truth is None or side < 8:
        raise SceneError(f"{case.name}: too small to tune on, {h}x{w} MS pixels")
    rng = torch.Generator().manual_seed(config.seed)
    whole = case.registered
    for _ in range(config.max_steps):
        parts: list[list[Tensor]] = []
        for _ in range(config.batch_size):
            top, left = (int(torch.randint(n - side + 1, (), generator=rng)) for n in (h, w))
            turns, mirrored = torch.randint(4, (2,), generator=rng).tolist()
            low = (slice(top, top + side), slice(left, left + side))
            fine = tuple(slice(s.start * ratio, s.stop * ratio) for s in low)
            images = [whole.ms[0][:, *low], whole.pan[0][:, *fine], whole_truth[:, *fine]]
            # The toolbox's phase is no phase at all once an image is turned.
            if scene.phase == "aligned":
                images = [torch.rot90(image, turns, (-2, -1)) for image in images]
                images = [image.flip(-1) if mirrored % 2 else image for image in images]
            parts.append(images)
        ms, pan, truth = (torch.stack(images) for images in zip(*parts, strict=True))
        count = len(parts)
        inputs = replace(
            whole,
            ms=ms,
            pan=pan,
            mtf=whole.mtf.expand(count, -1),
            softness=whole.softness.expand(count, -1),
        )
        yield TrainingBatch(inputs=inputs, truth=truth)
