"""A run's own look at its weights: validation, the best weights so far, pictures."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from fusiontrain.models.checkpoints import CheckpointInfo, save_checkpoint
from fusiontrain.training import preview
from fusiontrain.training.accelerate_setup import Distributed
from fusiontrain.training.progress import RunProgress
from fusiontrain.training.run_log import RunLog
from fusiontrain.training.train_step import TrainStep
from fusiontrain.training.validation import HeldSamples, OnDevice, Validation
from fusiontrain.training.watchdog import Watchdog

BEST_NAME = "best.safetensors"


class Validator:
    """Every method is called by all ranks alike."""

    def __init__(
        self,
        *,
        distributed: Distributed,
        train_step: TrainStep,
        evaluated: nn.Module,
        validation: Validation | None,
        sample: HeldSamples | None,
        out: Path,
        info: Callable[[dict[str, Any]], CheckpointInfo],
        progress: RunProgress,
        log: RunLog,
        watchdog: Watchdog,
    ) -> None:
        """`evaluated`: a network of the trained one's form, to hold the weights under evaluation.
        `sample`: what pictures show. `info`: facts of the run -> the metadata of its weights.
        """
        self.distributed, self.train_step, self.evaluated = distributed, train_step, evaluated
        self.validation, self.sample = validation, sample
        self.out, self.info, self.progress = out, info, progress
        self.log, self.watchdog = log, watchdog

    def weights(self) -> nn.Module:
        """A network with the weights that the run gives: averaged ones where there are any."""
        average = self.train_step.average
        net = self.distributed.unwrap(self.train_step.net)
        self.evaluated.load_state_dict(average.tensors if average else net.state_dict())
        return self.evaluated

    def validate(self) -> None:
        """The figures of these weights, and the weights as the best ones if they are."""
        distributed, progress, validation = self.distributed, self.progress, self.validation
        if validation is None:
            return
        net = OnDevice(self.weights(), distributed.device)
        own = distributed.run_on_all(
            lambda: validation.share(
                net, rank=distributed.rank, world=distributed.world, beat=self.watchdog.beat
            )
        )
        progress.figures = validation.combine(distributed.gather(own))
        progress.clock.validated = time.monotonic()
        self.log.validation(progress.figures)
        value = progress.figures[validation.best_by]
        if math.isfinite(value) and (progress.best is None or value < progress.best):
            progress.best, progress.best_step = value, progress.step
            info = self.info(progress.facts())
            distributed.on_main(lambda: save_checkpoint(self.out / BEST_NAME, self.weights(), info))

    def draw(self) -> None:
        """A picture of the sample, fused by these weights."""
        sample = self.sample
        if sample is not None:
            self.distributed.on_main(lambda: self._draw(sample))

    def _draw(self, sample: HeldSamples) -> None:
        net = OnDevice(self.weights(), self.distributed.device)
        step = self.progress.step
        path = self.out / preview.FOLDER / f"step-{step:08d}.png"
        picture = preview.draw_sample(net, sample, path)
        self.distributed.log_picture("ms, fused, truth, error", picture, step)
