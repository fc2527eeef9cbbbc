"""What a run's folder says of it: its configuration, its facts, its tables."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fusiontrain.errors import TrainingError
from fusiontrain.training.config import TrainConfig
from fusiontrain.training.run_files import LOG_NAME, RUN_NAME, VALIDATION_NAME
from shards.bounded_reading import read_bounded, read_json
from shards.short_names import short_names

_LARGEST = 1 << 28  # bytes of a table
_MOST = 1e15  # steps or seconds
Columns = dict[str, list[float]]  # name -> a value a row; NaN where a cell holds none


@dataclass(frozen=True, kw_only=True, slots=True)
class RunRecord:
    """A run, finished or not, as its folder has it."""

    name: str  # the folder's, or as much of its path as tells runs apart
    folder: Path
    facts: Mapping[str, Any]  # of run.json; of a run that goes on, those of its start
    log: Columns
    validation: Columns  # without rows, where nothing was validated

    @property
    def finished(self) -> bool:
        return self.number("steps") is not None

    @property
    def steps(self) -> int:
        return int(self.number("steps") or max(self.log["step"], default=0))

    def number(self, name: str) -> float | None:
        """Of the facts; None, where there is none."""
        value = self.facts.get(name)
        in_range = isinstance(value, int | float) and abs(value) < _MOST
        return float(value) if value is not None and in_range else None

    @property
    def config(self) -> dict[str, Any]:
        """All options that decide the run, also those at their defaults; empty if not recorded."""
        config = self.facts.get("config")
        return asdict(TrainConfig()) | config if isinstance(config, dict) else {}

    @property
    def recipe(self) -> str:
        recipe = self.facts.get("recipe")
        return str(recipe.get("name", "")) if isinstance(recipe, dict) else ""

    def column(self, name: str) -> Sequence[float]:
        """Of either table; nothing, where it has none of that name."""
        return self.log.get(name) or self.validation.get(name) or ()

    def best(self, name: str) -> tuple[float, int]:
        """The lowest value of a column of either table, and its step; NaN and 0 without any."""
        table = self.log if name in self.log else self.validation
        pairs = zip(self.column(name), table.get("step", ()), strict=False)
        return min(
            ((value, int(step)) for value, step in pairs if math.isfinite(value)),
            default=(math.nan, 0),
        )


def read_runs(folders: Sequence[Path]) -> list[RunRecord]:
    """Raises: TrainingError naming a folder that is no run, or that is given twice."""
    names = short_names(folders)
    if len(names) < len(folders):
        raise TrainingError("one run is given twice; give each once")
    return [_read(folder, names[folder.absolute()]) for folder in folders]


def differing_options(runs: Sequence[RunRecord]) -> dict[str, list[Any]]:
    """Option -> its value in each run, of those that are not the same in all."""
    every = [{"recipe": run.recipe, **run.config} for run in runs]
    names = dict.fromkeys(name for options in every for name in options)
    values = {name: [options.get(name) for options in every] for name in names}
    return {name: of for name, of in values.items() if any(value != of[0] for value in of)}


def _read(folder: Path, name: str) -> RunRecord:
    if not (folder / LOG_NAME).is_file():
        raise TrainingError(
            f"{folder} is no run: it has no {LOG_NAME}; expected a folder that pretrain or "
            "finetune wrote (--out)"
        )
    try:
        facts = read_json(folder / RUN_NAME) if (folder / RUN_NAME).is_file() else {}
        return RunRecord(
            name=name,
            folder=folder,
            facts=facts if isinstance(facts, dict) else {},
            log=_columns(folder / LOG_NAME),
            validation=_columns(folder / VALIDATION_NAME)
            if (folder / VALIDATION_NAME).is_file()
            else {},
        )
    except (OSError, ValueError, csv.Error) as error:
        raise TrainingError(f"cannot read the run {folder}: {error}") from error


def _columns(path: Path) -> Columns:
    """Rows with a step that is a number; what else is no number is NaN."""
    text = read_bounded(path, _LARGEST).decode(errors="replace")
    reader = csv.DictReader(io.StringIO(text, newline=""))
    names = list(reader.fieldnames or ())
    rows = [{name: _number(row.get(name)) for name in names} for row in reader]
    kept = [row for row in rows if math.isfinite(row.get("step", math.nan))]
    return {name: [row[name] for row in kept] for name in dict.fromkeys(["step", *names])}


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan
