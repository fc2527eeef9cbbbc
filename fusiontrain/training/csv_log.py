"""CSV tables that survive a stop, and the progress bar of a run."""

import csv
import io
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from shards.atomic_write import whole_file

logger = logging.getLogger(__name__)
STEPS = ("loss", "learning_rate", "gradient_norm", "crops_per_second", "data_wait")
_GARBLED = frozenset("\0\ufffd")
_LONGEST = 1 << 16  # characters of a row
_DIGITS = 16
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
    text = path.read_bytes().decode(errors="replace")
    lines = list(io.StringIO(text, newline=""))
    whole = [line for line in lines if not _GARBLED & set(line) and len(line) < _LONGEST]
    rows = list(csv.DictReader(whole))
    kept = [row for row in rows if _is_step(row.get("step"))]
    # The last line may have been cut by the end of the process.
    odd = not all(_is_step(row.get("step")) for row in rows[:-1]) or (rows and not kept)
    if len(whole) < len(lines) or odd:
        aside = path.with_name(f"{path.name}.damaged")
        with whole_file(aside) as file:
            file.write(path.read_bytes())
        logger.warning("%s is damaged: its whole rows are kept, and it as %s", path, aside.name)
    return [row for row in kept if int(row["step"]) <= start]


def _is_step(text: str | None) -> bool:
    return text is not None and text.isascii() and text.isdigit() and len(text) < _DIGITS


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
