"""One-shot tuning as a run: weights, log.csv, run.json and config.yaml in a folder."""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fusiontrain.errors import TrainingError
from fusiontrain.evaluation.protocols import reduced
from fusiontrain.fusion.make_fuser import find_device
from fusiontrain.models.checkpoints import CheckpointInfo, load_checkpoint, save_checkpoint
from fusiontrain.models.registry import find_model
from fusiontrain.scenes.discovery import find_scenes
from fusiontrain.training.config import TrainConfig
from fusiontrain.training.csv_log import LOG_COLUMNS, STEPS, Table
from fusiontrain.training.one_shot import tune
from fusiontrain.training.run_files import CONFIG_NAME, LOG_NAME, WEIGHTS_NAME
from fusiontrain.training.run_identity import write_run
from fusiontrain.training.train_step import StepResult
from fusiontrain.training.tuning_lines import TuningLines
from shards.atomic_write import check_folder, whole_file

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Tuned:
    """What tuning gave. `loss`: smoothed, after the last step."""

    weights: Path
    scene: str
    loss: float


class StepRows:
    """The rows of log.csv of a tuning, and a line about every ten seconds."""

    def __init__(self, config: TrainConfig) -> None:
        self.config, self.rows = config, list[Mapping[str, float]]()
        self.loss, self.skipped, self.begun = float("nan"), 0, time.monotonic()
        self.lines = TuningLines("tuning", config.max_steps)

    def __call__(self, step: int, result: StepResult, smoothed: float) -> None:
        """As fit reports a step."""
        self.loss, self.skipped = smoothed, self.skipped + (not result.finite)
        speed = step * self.config.batch_size / max(1e-9, time.monotonic() - self.begun)
        # Crops are cut in memory: no time is spent on waiting for data.
        values = (smoothed, result.rate, result.norm, speed, 0.0)
        row = {"step": step, **dict(zip(STEPS, values, strict=True))}
        self.rows.append(row | {"step_loss": result.loss, "skipped": self.skipped})
        self.lines(step, result, smoothed)


def tune_to_file(
    weights: Path,
    scene: Path,
    folder: Path,
    config: TrainConfig,
    *,
    recipe: str,
    config_file: str = "",
) -> Tuned:
    """Tune the weights on one scene; `folder` is written once the tuning is done.

    recipe: the name of what made `config`. config_file: the text of a file that starts the tuning
    again. Raises: TrainingError, SceneError, CheckpointError, OutputError.
    """
    found = find_scenes([scene])
    if len(found) != 1:
        raise TrainingError(
            f"`learn_from` {scene} holds {len(found)} scenes; one-shot learns from one"
        )
    check_folder(folder)
    path = folder / WEIGHTS_NAME
    if path.exists():
        raise TrainingError(f"{path} exists\n  do: give `out` another folder, or delete this one")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError(f"cannot write to {folder}: {error.strerror}") from error
    net, info = load_checkpoint(weights)
    net = net.to(find_device("auto"))  # as training on shards does
    case, rows = reduced(found[0].load()), StepRows(config)
    logger.info("tuning on %s: %d steps", found[0].name, config.max_steps)
    tuned = tune(net, find_model(info.model), case, config, report=rows).cpu()
    training = {
        "recipe": {"name": recipe, "sha256": config.digest},
        "config": config.as_data(),
        "scene": found[0].name,
        "steps": config.max_steps,
        "loss": rows.loss,
        "seconds": round(time.monotonic() - rows.begun),
        "skipped": rows.skipped,
        "pretraining": info.training,
    }
    table = Table(folder / LOG_NAME, LOG_COLUMNS, 0)
    for row in rows.rows:
        table.row(row)
    table.close()
    write_run(folder, training)
    if config_file:
        with whole_file(folder / CONFIG_NAME) as file:
            file.write(config_file.encode())
    facts = CheckpointInfo(model=info.model, sizes=info.sizes, training=training)
    save_checkpoint(path, tuned, facts)
    return Tuned(weights=path, scene=found[0].name, loss=rows.loss)
