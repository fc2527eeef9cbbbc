"""One-shot: a network tuned on exactly one pair of the target sensor, by Wald's protocol.

The steps are fixed beforehand and nothing is evaluated while tuning: no validation, no early
stop, no other scene. Freeze-tuning trains only the parameters that the model's entry names.
"""

import copy
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from fusiontrain.data.crops import TrainingBatch
from fusiontrain.errors import SceneError, TrainingError
from fusiontrain.evaluation.case import Case
from fusiontrain.evaluation.leakage import refuse_shared_pixels
from fusiontrain.evaluation.protocols import reduced
from fusiontrain.fusion.make_fuser import find_device
from fusiontrain.fusion.network_fuser import fuse_network
from fusiontrain.imaging.pan_batch import GridPhase
from fusiontrain.models.checkpoints import CheckpointInfo, load_checkpoint, save_checkpoint
from fusiontrain.models.registry import ModelEntry, find_model
from fusiontrain.scenes.discovery import SceneEntry, find_scenes
from fusiontrain.training.config import TrainConfig
from fusiontrain.training.fit import fit
from shards.progress_lines import ProgressLines

_LOGGER = logging.getLogger(__name__)


def tune(
    net: nn.Module,
    entry: ModelEntry,
    case: Case,
    config: TrainConfig,
    *,
    advance: Callable[[int, int], None] | None = None,
) -> nn.Module:
    """A tuned copy of `net`; `net` itself is not touched. `case` must have a truth.

    `advance` is called with the steps done and all steps.

    `config`: recipes.one_shot or one_shot_freeze, or as they are but for their numbers.
    Raises: SceneError without a truth, or where a crop does not fit.
    """
    if case.truth is None:
        raise SceneError(f"{case.name}: tuning needs a truth; use the reduced protocol")
    tuned = copy.deepcopy(net).train()
    batches = _crops(case, config)
    if advance is not None:
        batches = _counted(batches, config.max_steps, advance)
    fit(tuned, batches, config, freeze_prefixes=entry.freeze_tuning_prefixes)
    with torch.no_grad():
        for start, end in zip(net.parameters(), tuned.parameters(), strict=True):
            end.lerp_(start.to(end), 1 - config.blend)
    return tuned.eval()


def tune_to_file(
    weights: Path, scene: Path, folder: Path, config: TrainConfig, *, recipe: str
) -> tuple[Path, str]:
    """The tuned weights, written to `folder`, and the name of the scene they were tuned on.

    recipe: the name of what made `config`. Raises: TrainingError, SceneError, CheckpointError.
    """
    found = find_scenes([scene])
    if len(found) != 1:
        raise TrainingError(
            f"`learn_from` {scene} holds {len(found)} scenes; one-shot learns from one"
        )
    path = folder / "model.safetensors"
    if path.exists():
        raise TrainingError(f"{path} exists\n  do: give `out` another folder, or delete this one")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError(f"cannot write to {folder}: {error.strerror}") from error
    net, info = load_checkpoint(weights)
    net = net.to(find_device("auto"))  # as training on shards does
    _LOGGER.info("tuning on %s: %d steps", found[0].name, config.max_steps)
    lines = ProgressLines(_LOGGER.info, "tuning", "step")
    case, entry = reduced(found[0].load()), find_model(info.model)
    tuned = tune(net, entry, case, config, advance=lines).cpu()
    training = {
        "recipe": {"name": recipe, "sha256": config.digest},
        "config": config.as_data(),
        "scene": found[0].name,
        "steps": config.max_steps,
        "pretraining": info.training,
    }
    save_checkpoint(
        path, tuned, CheckpointInfo(model=info.model, sizes=info.sizes, training=training)
    )
    return path, found[0].name


def _counted(
    batches: Iterator[TrainingBatch], total: int, advance: Callable[[int, int], None]
) -> Iterator[TrainingBatch]:
    for done, batch in enumerate(batches):
        advance(done, total)
        yield batch


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
                self.tuned[training_scene.name] = tune(
                    self.net, self.entry, training_case, self.config
                )
            return self.tuned[training_scene.name]
        return None


def _crops(case: Case, config: TrainConfig) -> Iterator[TrainingBatch]:
    """Random crops, flipped and turned; the whole pair where it is smaller."""
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
