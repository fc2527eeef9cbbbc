"""What a run shows while it goes: rows of its tables, the trackers' figures, a bar or lines."""

import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from fusiontrain.training.accelerate_setup import Distributed
from fusiontrain.training.config import RunOptions
from fusiontrain.training.csv_log import LOG_COLUMNS, STEPS, Table, progress_bar
from fusiontrain.training.progress import RunProgress
from fusiontrain.training.run_files import LOG_NAME, VALIDATION_NAME
from fusiontrain.training.train_step import StepResult
from fusiontrain.training.validation import HELD_ERGAS, HELD_LOSS, SCENES_RATIO
from shards.progress_lines import ProgressLines

_VALIDATED = {
    HELD_LOSS: "loss {:.4f} on held samples",
    HELD_ERGAS: "ERGAS {:.3f}",
    SCENES_RATIO: "on scenes ERGAS {:.3f} times that of the best of EXP, GSA, MTF-GLP-FS",
}
THINNING = 1 / 60  # of the time so far lies between two lines, where that is over ten seconds


class RunLog:
    """A context: the first rank writes tables and trackers while it is entered.

    It shows a bar on a terminal; elsewhere a line every ten seconds, in long runs rarer ones.
    """

    def __init__(
        self,
        *,
        distributed: Distributed,
        options: RunOptions,
        out: Path,
        progress: RunProgress,
        validation_columns: Sequence[str],
    ) -> None:
        """`validation_columns`: none, if the run validates nothing."""
        self.distributed, self.options, self.out = distributed, options, out
        self.progress, self.validation_columns = progress, tuple(validation_columns)
        self._stack = ExitStack()
        self._steps: Table | None = None
        self._validations: Table | None = None
        self._on_terminal = sys.stderr.isatty()
        self._bar = progress_bar(shown=distributed.main and self._on_terminal)
        self._lines: ProgressLines | None = None
        self._without_row: StepResult | None = None

    def __enter__(self) -> "RunLog":
        with ExitStack() as stack:
            self.distributed.on_main(lambda: self._open(stack))
            stack.enter_context(self._bar)
            self._task = self._bar.add_task(
                self.options.recipe, total=1.0, shown=f"from step {self.progress.start.step}"
            )
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, traceback)

    def step(self, result: StepResult) -> None:
        """A row, if one is due after this step: the first, and every so many."""
        self._without_row = result
        if self.progress.step == 1 or self.progress.step % self.options.log_steps == 0:
            self.last_row()

    def last_row(self) -> None:
        """The row of the newest step, if it has none: at the end of a run."""
        result, progress = self._without_row, self.progress
        if result is None:
            return
        self._without_row = None
        values = (
            progress.loss,
            result.rate,
            result.norm,
            progress.crops_per_second,
            progress.data_wait,
        )
        row = dict(zip(STEPS, values, strict=True))
        row |= {"step_loss": result.loss, "skipped": float(progress.guard.skipped)}
        if self._steps is not None:
            self._steps.row({"step": progress.step, **row})
        self.distributed.log(row, progress.step)

    def validation(self, figures: Mapping[str, float]) -> None:
        """A row of validation.csv, and a line."""
        if self._validations is not None:
            self._validations.row({"step": self.progress.step, **figures})
        self.distributed.log(
            {f"validation/{name}": x for name, x in figures.items()}, self.progress.step
        )
        self._say_validation(figures)

    def _say_validation(self, figures: Mapping[str, float]) -> None:
        words = [text.format(figures[name]) for name, text in _VALIDATED.items() if name in figures]
        self.distributed.info(f"validation at step {self.progress.step}: {', '.join(words)}")

    def show(self, done: float) -> None:
        """Move the bar, if a row is due, or say a line. `done`: share of the run, 0..1."""
        progress = self.progress
        if not self._on_terminal:
            self._say(done)
        elif done == 1 or progress.step % self.options.log_steps == 0:
            text = (
                f"step {progress.step}, loss {progress.loss:.4f}, "
                f"{progress.crops_per_second:.1f} crops/s, "
                f"{progress.data_wait:.0%} waiting for data"
            )
            self._bar.update(self._task, completed=done, shown=text)

    def _say(self, done: float) -> None:
        if self._lines is None:
            self._lines = ProgressLines(
                self.distributed.info, "training", "step", thinning=THINNING, first=done
            )
        self._lines.at(f"step {self.progress.step}, loss {self.progress.loss:.4f}", done)

    def _open(self, stack: ExitStack) -> None:
        start = self.progress.start.step
        self._steps = Table(self.out / LOG_NAME, LOG_COLUMNS, start)
        stack.callback(self._steps.close)
        if self.validation_columns:
            self._validations = Table(self.out / VALIDATION_NAME, self.validation_columns, start)
            stack.callback(self._validations.close)
