"""What tuning on one scene says while it goes: a line about every ten seconds."""

import logging

from fusiontrain.training.train_step import StepResult
from shards.progress_lines import ProgressLines

logger = logging.getLogger(__name__)


class TuningLines:
    """`tuning on x, loss 0.0512: step 40 of 100, 40 %, about 30 s left`; called after each step."""

    def __init__(self, task: str, steps: int) -> None:
        self.task, self.steps = task, steps
        self.lines = ProgressLines(logger.info, task, "step")

    def __call__(self, step: int, _: StepResult, smoothed: float) -> None:
        self.lines.task = f"{self.task}, loss {smoothed:.4f}"
        self.lines(step, self.steps)
