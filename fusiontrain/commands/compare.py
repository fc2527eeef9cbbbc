"""Compare runs in a table: steps, losses, validation, throughput, and the options that differ.

loss: smoothed; of each figure the last, and the lowest with its step. crops/s: the median. A run
that has not ended is compared as far as it is.
"""

import math
from argparse import Namespace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from fusiontrain.commands.listing import print_listing
from fusiontrain.commands.plot import check_picture
from shards.atomic_write import check_place
from shards.command_line import PlainFlags
from shards.console import print_result
from shards.progress_lines import spoken_seconds

if TYPE_CHECKING:
    from fusiontrain.training.run_record import RunRecord

_MEANS = ("held_loss", "held_ergas", "scenes_ergas_ratio")

_LONGEST = 24  # characters of an option's value; digests are longer


def make_parser() -> PlainFlags:
    parser = PlainFlags(prog="fusiontrain compare", description=__doc__)
    parser.add_argument(
        "runs", type=Path, nargs="+", metavar="RUN", help="folder of pretrain or finetune"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, with all options")
    parser.add_argument(
        "--out", type=Path, metavar="FILE.png", help="also draw them, as fusiontrain plot does"
    )
    return parser


def run(args: Namespace) -> int:
    if args.out is not None:
        check_picture(args.out)
        check_place(args.out)
    from fusiontrain.training.run_record import differing_options, read_runs

    runs = read_runs(args.runs)
    differing = differing_options(runs)
    facts = [_facts(one) for one in runs]
    rows = [
        _row(fact) | {name: _text(values[i]) for name, values in differing.items()}
        for i, fact in enumerate(facts)
    ]
    used = [name for name in rows[0] if any(row[name] != "-" for row in rows)]
    rows = [{name: row[name] for name in used} for row in rows]
    if args.out is not None:
        from fusiontrain.training.run_plot import plot_runs

        plot_runs(runs, args.out)
    print_listing(rows, facts, as_json=args.json)
    if args.out is not None and not args.json:
        print_result(f"fusiontrain: drew {args.out}")
    return 0


def _facts(one: "RunRecord") -> dict[str, Any]:
    speeds = [value for value in one.log.get("crops_per_second", ()) if value > 0]
    return {
        "run": one.name,
        "folder": str(one.folder),
        "finished": one.finished,
        "steps": one.steps,
        "seconds": one.number("seconds"),
        "loss": _last_and_best(one, "loss"),
        "validation": {name: _last_and_best(one, name) for name in _MEANS},
        "crops_per_second": median(speeds) if speeds else None,
        "recipe": one.recipe,
        "config": one.config,
    }


def _last_and_best(one: "RunRecord", name: str) -> dict[str, float] | None:
    """None, where the run has no such figure."""
    values = [value for value in one.column(name) if math.isfinite(value)]
    if not values:
        return None
    best, step = one.best(name)
    return {"last": values[-1], "best": best, "step": step}


def _row(fact: dict[str, Any]) -> dict[str, str]:
    seconds = fact["seconds"]
    row = {
        "run": fact["run"],
        "steps": f"{fact['steps']}{'' if fact['finished'] else ', unfinished'}",
        "time": "-" if seconds is None else spoken_seconds(seconds),
        "crops/s": _text(fact["crops_per_second"]),
    }
    for name, found in {"loss": fact["loss"], **fact["validation"]}.items():
        row[name] = "-" if found is None else _text(found["last"])
        row[f"best {name}"] = "-" if found is None else f"{found['best']:.4g} at {found['step']}"
    return row


def _text(value: Any) -> str:
    if value is None or value == "":
        return "-"
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if len(text) < _LONGEST else f"{text[: _LONGEST // 2]}..."
