"""Results of the cells: JSON lines that are only added to, so that a killed run goes on."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Record = dict[str, Any]  # "seconds", "steps", "reduced", "full", "known", "curve"


class Results:
    """Cell's key -> its record; the last of a key counts."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._records: dict[str, Record] = {}
        if path.exists():
            for line in path.read_text().splitlines():
                try:
                    row = json.loads(line)
                except ValueError:  # the last line of a run that was killed
                    continue
                self._records[row["key"]] = row["record"]

    def __contains__(self, key: str) -> bool:
        return key in self._records

    def __iter__(self) -> Iterator[tuple[dict[str, Any], Record]]:
        return ((json.loads(key), record) for key, record in self._records.items())

    def add(self, key: str, record: Record) -> None:
        record = _rounded(record)
        self._records[key] = record
        with self.path.open("a") as file:
            file.write(json.dumps({"key": key, "record": record}, separators=(",", ":")) + "\n")

    def where(self, **wanted: Any) -> list[Record]:
        """Records of the cells whose fields are these, in the order they came."""
        return [
            record
            for cell, record in self
            if all(cell.get(name) == value for name, value in wanted.items())
        ]


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value
