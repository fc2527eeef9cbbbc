"""What a benchmark writes: results.json, CSV, tables in three markups, and the page."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from markupsafe import Markup

from fusiontrain.errors import SceneError
from fusiontrain.evaluation.best_classical import best_classical_baseline, comparison_grid
from fusiontrain.evaluation.case import Case
from fusiontrain.evaluation.contenders import Result
from fusiontrain.evaluation.page import View, write_page
from fusiontrain.evaluation.rendering import colour_webp, error_webp, middle, stretch_of
from fusiontrain.evaluation.score_image import BETTER
from fusiontrain.evaluation.tables import (
    Row,
    all_as_html,
    as_csv,
    as_html,
    as_latex,
    as_markdown,
    scene_tables,
    score_grid,
    sensor_tables,
)
from shards.atomic_write import whole_file
from shards.bounded_reading import read_json

FILES = ("results.json", "results.csv", "tables.md", "tables.tex", "index.html")
MEASURED = "measured here"
_LARGEST = 1 << 28  # bytes of a results.json
MS_QUALITY = 95  # an MS pixel is shown as many


@dataclass(frozen=True, kw_only=True, slots=True)
class LeftOut:
    """A scene, or a contender on it, without a score, and why."""

    scene: str
    protocol: str
    reason: str


def read_rows(path: Path) -> list[Row]:
    """Scores of an earlier benchmark. Raises: SceneError if it is not a results.json."""
    try:
        rows = read_json(path, _LARGEST)["rows"]
        return [
            Row(
                **{name: str(row[name]) for name in ("scene", "sensor", "protocol", "method")},
                indices={k: math.nan if v is None else float(v) for k, v in row["indices"].items()},
                origin="" if row["origin"] == MEASURED else str(row["origin"]),
            )
            for row in rows
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SceneError(
            f"{path} is no results.json of `fusiontrain benchmark`: {error!r}"
        ) from error


@dataclass(kw_only=True, slots=True)
class BenchmarkResults:
    """Collects results case by case; pictures are kept small, fused images are not kept."""

    folder: Path
    title: str
    side: int  # PAN pixels of a picture
    facts: dict[str, str] = field(default_factory=dict)  # contenders and versions
    rows: list[Row] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)  # one a row
    views: list[View] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    scenes: dict[str, dict[str, object]] = field(default_factory=dict)
    captions: dict[str, str] = field(default_factory=dict)  # protocol -> line below its tables

    def record(self, case: Case, note: str = "") -> "CaseRecorder":
        """The recorder of one case's results."""
        scene = case.scene
        self.scenes[f"{case.name}, {case.protocol}"] = {
            "sensor": scene.sensor.name,
            "bands": scene.bands,
            "ratio": scene.ratio,
            "bits": scene.bits,
            "pixels": scene.pan[0].numel(),
            "pixels_with_data": (
                scene.pan[0].numel() if scene.valid is None else int(scene.valid.sum())
            ),
            "phase": scene.phase,
            "mtf": case.sensor_model.mtf.tolist(),
            "softness": case.sensor_model.softness.tolist(),
            "note": case.note,
        }
        return CaseRecorder(self, case, note)

    def publish(self, rows: Sequence[Row]) -> None:
        """Rows that others published, each with its source; they are never ranked with ours."""
        self.rows.extend(rows)
        self.seconds.extend([math.nan] * len(rows))

    def write_results(self) -> Path:
        """results.json as far as it goes: an interrupted benchmark keeps what it has scored."""
        rows = [
            asdict(row) | {"origin": row.origin or MEASURED, "seconds": seconds}
            for row, seconds in zip(self.rows, self.seconds, strict=True)
        ]
        whole = {
            "version": 1,
            "facts": self.facts,
            "captions": self.captions,
            "scenes": self.scenes,
            "rows": [_without_nan(row) for row in rows],
            "left_out": [asdict(item) for item in self.left_out],
        }
        path = self.folder / "results.json"
        with whole_file(path) as file:
            file.write(json.dumps(whole, indent=1, allow_nan=False).encode() + b"\n")
        return path

    def write(self) -> list[Path]:
        """Everything; the page last. Returns the paths."""
        sensors = [
            score_grid(t, note=self.captions.get(t.protocol, ""))
            for t in sensor_tables(self.rows, better=BETTER)
        ]
        scenes = [score_grid(t) for t in scene_tables(self.rows, better=BETTER)]
        baseline = best_classical_baseline(self.rows)
        against = [comparison_grid(baseline)] if baseline else []
        texts = {
            "results.csv": as_csv(self.rows),
            "tables.md": "\n\n".join(map(as_markdown, [*sensors, *against])) + "\n",
            "tables.tex": "\n\n".join(map(as_latex, sensors)) + "\n",
        }
        for name, text in texts.items():
            with whole_file(self.folder / name) as file:
                file.write(text.encode())
        page = self.folder / "index.html"
        tables = [
            *(("Against the best classical method", as_html(grid)) for grid in against),
            (
                "Sensor by sensor, mean and std over scenes",
                Markup("").join(map(as_html, sensors)),
            ),
            ("Every scene", all_as_html(scenes)),
        ]
        write_page(
            page,
            title=self.title,
            facts=self.facts,
            views=self.views,
            better=BETTER,
            tables=tables,
        )
        return [self.write_results(), *(self.folder / name for name in texts), page]


class CaseRecorder:
    """Rows and pictures of one case while its contenders are scored."""

    def __init__(self, results: BenchmarkResults, case: Case, note: str) -> None:
        self.results, self.case, self.note = results, case, note
        scene = case.scene
        reference = scene.ms if case.truth is None else case.truth
        self.stretch = stretch_of(reference)
        box = middle(scene.shape, side=results.side, ratio=scene.ratio)
        self.fine = box.scaled(scene.ratio)
        self.pictures = {
            "PAN": colour_webp(scene.pan, stretch_of(scene.pan), self.fine),
            "MS": colour_webp(scene.ms, self.stretch, box, quality=MS_QUALITY),
        }
        if case.truth is not None:
            self.pictures["truth"] = colour_webp(case.truth, self.stretch, self.fine)
        self.errors: dict[str, bytes] = {}
        self.indices: dict[str, dict[str, float]] = {}

    def add(self, result: Result) -> None:
        case, name = self.case, result.method
        self.pictures[name] = colour_webp(result.fused, self.stretch, self.fine)
        if case.truth is not None:
            self.errors[name] = error_webp(case.truth, result.fused, self.fine)
        self.indices[name] = result.indices
        self.results.rows.append(
            Row(
                scene=case.name,
                sensor=case.scene.sensor.name,
                protocol=case.protocol,
                method=name,
                indices=result.indices,
            )
        )
        self.results.seconds.append(round(result.seconds, 3))

    def close(self) -> None:
        case = self.case
        self.results.views.append(
            View(
                scene=case.name,
                sensor=case.scene.sensor.name,
                protocol=case.protocol,
                note=f"{self.note} {case.note} Given to every method: {case.sensor_model}.".strip(),
                pictures=self.pictures,
                errors=self.errors,
                indices=self.indices,
                origins={},
            )
        )


def _without_nan(row: dict[str, object]) -> dict[str, object]:
    """JSON has no NaN: such a value is null."""
    cleaned: dict[str, object] = {}
    for key, value in row.items():
        if isinstance(value, dict):
            cleaned[key] = _without_nan(value)
        elif isinstance(value, float) and not math.isfinite(value):
            cleaned[key] = None
        else:
            cleaned[key] = value
    return cleaned
