"""CSV tables that survive a stop, and the progress bar of a run."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from shards.atomic_write import whole_file

STEPS = ("loss", "learning_rate", "gradient_norm", "crops_per_second", "data_wait")
LOG_COLUMNS = ("step", *STEPS, "step_loss", "skipped")


class Table:
    """A CSV with a row a step. A run that goes on keeps the rows up to where it goes on.

    Those rows are first made whole under the file's own name, so that a kill at any moment
    leaves either the old table or the new one, and each later row is written at once.
    """

    def __init__(self, path: Path, columns: Sequence[str], start: int) -> None:
        self.path, self.columns = path, tuple(columns)
        kept = _rows(path, start) if start else []
        self._last = int(kept[-1]["step"]) if kept else -1
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(self.columns)  # a scene's name may hold a comma
        rows.writerows([row.get(c) or "" for c in self.columns] for row in kept)
        with whole_file(path) as file:
            file.write(text.getvalue().encode())
        self._file = path.open("a", newline="")

    def row(self, values: Mapping[str, float]) -> None:
        """Numbers with the nine digits that single precision needs; what is not given is empty.

        A step that has its row keeps it: a run stopped at its end measures its last step again.
        """
        if values["step"] <= self._last:
            return
        self._last = int(values["step"])
        cells = [f"{values[c]:.9g}" if c in values else "" for c in self.columns]
        self._file.write(",".join(cells) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def _rows(path: Path, start: int) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if (row.get("step") or "").isdigit()]
    return [row for row in rows if int(row["step"]) <= start]


def progress_bar(*, shown: bool) -> Bar:
    """Share done, time so far and to go; the text is the loop's."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[shown]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Bar(*columns, console=Console(stderr=True), disable=not shown)
