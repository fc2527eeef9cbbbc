"""Every pair of a folder fused in one process: checked first, resumed, summed up at the end."""

import hashlib
import json
import time
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tabulate import tabulate

from fusiontrain.commands.fuse_pair import PairRequest, fuse_pair
from fusiontrain.errors import InterruptedBySignal, SceneError
from fusiontrain.fusion.fuse_scene import InputFiles, own_version
from fusiontrain.fusion.fuser import Fuser
from fusiontrain.fusion.make_fuser import make_fuser
from fusiontrain.fusion.options import FusionOptions
from fusiontrain.scenes.gdal_environment import gdal
from fusiontrain.scenes.grid_alignment import UNPLACED_REMEDY
from fusiontrain.scenes.open_raster import open_raster
from fusiontrain.scenes.pair_listing import PairFiles, list_pairs
from fusiontrain.scenes.writer import Output
from shards.atomic_write import check_place, remove_leftovers, temporary_path, whole_file
from shards.command_line import with_flags
from shards.console import print_error, print_result, spoken_error
from shards.errors import OutputError
from shards.progress_lines import spoken_seconds
from shards.signals import check_signals

BATCH_TAG = "PANPRIOR_BATCH"  # options and inputs that an output was made by, so that it is skipped
FAILED = 2  # exit code if any pair failed
_SUFFIXES = {"JPEG": ".jpg", "PNG": ".png"}
# What changes neither pixels nor the file: a resumed batch may differ in it.
_FREE = ("pan", "ms", "out", "json", "quiet", "dry_run", "overwrite", "threads", "device", "memory")


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A pair's line in the summary. `state`: fused, skipped, failed or planned."""

    name: str
    out: Path
    state: str
    shape: tuple[int, ...] = ()
    seconds: float = 0.0
    note: str = ""

    def as_data(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "out": str(self.out),
            "state": self.state,
            "shape": list(self.shape) or None,
            "seconds": round(self.seconds, 3),
            "note": self.note or None,
        }


def run_batch(
    args: Namespace,
    output: Output,
    inputs: InputFiles,
    options: FusionOptions,
    *,
    flags: Mapping[str, str],
) -> int:
    """Exit code: 0 if every pair is fused, now or before; FAILED if any failed.

    `inputs`, `output`: of every pair, but for the paths.
    Raises: SceneError, OutputError before any work if an output cannot be: two scenes of one
        name, a folder inside the other, one that cannot be written, one made by other options.
    """
    if args.quicklook is not None:
        raise SceneError("`quicklook` is of one pair; leave it out for a folder")
    suffix = _SUFFIXES.get(output.format, ".tif")
    pairs, passed_over = list_pairs(Path(args.pan), args.out, suffix)
    fuser = make_fuser(options)
    marks = {pair.name: _mark(args, options, fuser, pair) for pair in pairs}
    done = _already_done(pairs, marks, overwrite=args.overwrite)
    _check_report(args.json, pairs)
    if not args.dry_run:
        _make_folders(pairs)
    say = _speaker(args, flags)
    if passed_over:
        say(f"passed over: {passed_over}")
    skipped = f", {len(done)} of them done before" if done else ""
    say(f"{len(pairs)} pairs in {args.pan}{skipped}")
    rows: list[Row] = []
    try:
        for number, pair in enumerate(pairs, 1):
            check_signals()
            if pair.name in done:
                rows.append(Row(name=pair.name, out=pair.out, state="skipped"))
                continue
            say(f"scene {number} of {len(pairs)}: {pair.name}{_time_left(rows, pairs, done)}")
            tags = output.tags | {BATCH_TAG: marks[pair.name]}
            request = PairRequest(
                inputs=replace(inputs, pan=pair.pan, ms=pair.ms),
                output=replace(output, path=pair.out, tags=tags),
                dry_run=args.dry_run,
                quiet=args.quiet,
                flags=flags,
            )
            rows.append(_row(pair, request, fuser, options))
    except InterruptedBySignal as error:
        stop = str(error).partition(";")[0]
        error.args = (f"{stop}; outputs there are whole: the same command goes on with the rest",)
        raise
    finally:
        _report(args, rows, total=len(pairs), say=say, flags=flags)
    return FAILED if any(row.state == "failed" for row in rows) else 0


def _time_left(rows: Sequence[Row], pairs: Sequence[PairFiles], done: set[str]) -> str:
    """By the mean of the scenes that were fused."""
    fused = [row.seconds for row in rows if row.state == "fused"]
    if not fused:
        return ""
    left = sum(pair.name not in done for pair in pairs[len(rows) :])
    return f"; about {spoken_seconds(left * sum(fused) / len(fused))} left for all"


def _speaker(args: Namespace, flags: Mapping[str, str]) -> Callable[[str], None]:
    def say(line: str) -> None:
        if not args.quiet:
            print_result(f"fusiontrain: {with_flags(line, flags)}")

    return say


def _row(pair: PairFiles, request: PairRequest, fuser: Fuser, options: FusionOptions) -> Row:
    """What became of one pair; an error is said, and the next one's turn comes."""
    started = time.monotonic()
    try:
        result = fuse_pair(request, fuser, options, threads=request.output.threads, started=started)
    except (InterruptedBySignal, ModuleNotFoundError):  # of all pairs
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, it costs this pair alone
        line = with_flags(spoken_error(error), request.flags)
        print_error("fusiontrain", f"{pair.name}: {line}")
        seconds = time.monotonic() - started
        return Row(name=pair.name, out=pair.out, state="failed", seconds=seconds, note=line)
    return Row(
        name=pair.name,
        out=pair.out,
        state="planned" if request.dry_run else "fused",
        shape=result.shape,
        seconds=result.seconds,
        note="; ".join(result.warnings),
    )


def _mark(args: Namespace, options: FusionOptions, fuser: Fuser, pair: PairFiles) -> str:
    """A digest of what decides the output: options, weights, version and the inputs' state."""
    values = {key: str(value) for key, value in vars(args).items() if key not in _FREE}
    values |= {"weights": fuser.tags.get("PANPRIOR_WEIGHTS_SHA256", ""), "version": own_version()}
    values["method"] = options.method
    facts = [
        (path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in (pair.pan, *pair.ms)
    ]
    text = json.dumps([values, facts], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _mark_of(path: Path) -> str | None:
    try:
        with gdal(), open_raster(path) as file:
            return file.facts[0].tags.get(BATCH_TAG)
    except SceneError:  # damaged, or no image
        return None


def _already_done(
    pairs: Sequence[PairFiles], marks: dict[str, str], *, overwrite: bool
) -> set[str]:
    """Names of pairs whose output is there, made by the same options of the same files.

    Raises: OutputError if one is there that was made otherwise, unless `overwrite`.
    """
    done = set()
    for pair in pairs:
        if not pair.out.exists() or overwrite:
            continue
        if not pair.out.is_file() or _mark_of(pair.out) != marks[pair.name]:
            raise OutputError(
                f"{pair.out} is there, and was not made by these options of these files: give "
                "another folder, or `overwrite`"
            )
        done.add(pair.name)
    return done


def _check_report(report: Path | None, pairs: Sequence[PairFiles]) -> None:
    if report is None:
        return
    check_place(report)
    files = {path.resolve() for pair in pairs for path in (pair.pan, *pair.ms, pair.out)}
    if report.resolve() in files:
        raise SceneError(f"`json` {report} is an input or an output; give it another name")


def _make_folders(pairs: Sequence[PairFiles]) -> None:
    """Make and try each folder before work begins."""
    for folder in sorted({pair.out.parent for pair in pairs}):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            trial = temporary_path(folder / "trial")
            trial.touch()
            trial.unlink()
        except OSError as error:
            reason = error.strerror or error
            raise OutputError(f"cannot write into {folder}: {reason}; give another") from error


def _report(
    args: Namespace,
    rows: Sequence[Row],
    *,
    total: int,
    say: Callable[[str], None],
    flags: Mapping[str, str],
) -> None:
    """The table, and --json; also of a batch that was stopped."""
    counts = {
        state: sum(row.state == state for row in rows)
        for state in ("fused", "planned", "skipped", "failed")
    }
    unplaced = with_flags(UNPLACED_REMEDY, flags)
    table = [
        (
            row.name,
            row.state,
            " x ".join(map(str, row.shape)),
            f"{row.seconds:.1f}" if row.seconds else "",
            row.note.removeprefix(f"{unplaced}: ").partition("\n")[0][:90],
        )
        for row in rows
    ]
    if not args.quiet and rows:
        heads = ("scene", "state", "bands x rows x columns", "s", "note")
        print_result(tabulate(table, headers=heads))
    if any(row.note.startswith(unplaced) for row in rows):
        say(UNPLACED_REMEDY)
    shown = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    left = f", {total - len(rows)} not begun" if len(rows) < total else ""
    say(f"{total} pairs: {shown or 'none fused'}{left}")
    if args.json is not None and not args.dry_run:
        report = {
            "version": own_version(),
            "folder": str(args.pan),
            "out": str(args.out),
            "complete": len(rows) == total and not counts["failed"],
            "scenes": [row.as_data() for row in rows],
        }
        remove_leftovers(args.json)
        with whole_file(args.json) as file:
            file.write(json.dumps(report, indent=2).encode() + b"\n")
