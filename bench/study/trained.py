"""Parts of the study that train: families, simulation, data."""

import argparse
import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from bench.study.baseline import HEAD, read_baseline, relative_cells
from bench.study.builds import TrainedRow, shards_of
from bench.study.runs import Figures, save, spread
from bench.study.scoring import figures, read_cases
from bench.study.training import train
from fusiontrain.models.registry import MODELS, build_model
from fusiontrain.training.losses import consistent_l1
from shards.errors import PanpriorError
from simgen.config import Recipe
from simgen.recipes import find_recipe

NATURAL, REMOTE = ("imagenet", "bsds500"), ("rsscn7", "naip")  # folders of photographs
TRAINING_SENSORS = ("GeoEye-1", "Pleiades", "SPOT-6")  # whose real pairs one row trains on
RECIPE = "sensor-clean"  # of what compares networks or photographs, not simulations

# Changes that take one effect from `sensor`; the first four are named as in the seed paper.
WITHOUT: dict[str, tuple[str, dict[str, object]]] = {
    "blur": ("MTF blur drawn: one gain for all", {"mtf_ms": (0.3, 0.3), "mtf_pan": (0.5, 0.5)}),
    "noise": (
        "noise and stripes",
        {"read_noise": (0, 0), "shot_noise": (0, 0), "stripe_chance": 0.0},
    ),
    "downsampling": (
        "ways to decimate, and MS of the scene",
        {"decimation": ("point",), "physical": 0.0},
    ),
    "bands": (
        "band generation: the photograph's own bands and convex mixes alone",
        {"spectral": 0.0, "nir": 0.0, "signed_rows": 0.0, "keep_rgb": 1.0},
    ),
    "shuffle": ("channel shuffling", {"shuffle": 0.0}),
    "high-pass": ("high-pass filtering", {"high_pass_chance": 0.0}),
    "jitter": ("colour jitter", {"jitter_chance": 0.0}),
    "softness": ("softness drawn: crisp targets alone", {"softness": (0.7, 0.95)}),
    "materials": ("tints of materials", {"material_chance": 0.0}),
    "geometry": (
        "shifts, parallax, moving objects",
        {
            **dict.fromkeys(("shift_chance", "local_shift_chance", "parallax_chance"), 0.0),
            "moving_chance": 0.0,
        },
    ),
    "pan": (
        "a PAN that bands do not explain",
        {"pan_unexplained_chance": 0.0, "pan_hidden_chance": 0.0},
    ),
    "optics": (
        "defocus, halo, anisotropy",
        {"defocus_chance": 0.0, "halo_chance": 0.0, "anisotropy": (0.0, 0.0)},
    ),
    "radiometry": (
        "gains, offsets, haze, exposure, gamma",
        {
            **dict.fromkeys(("band_gain", "gamma", "pan_gain"), (1.0, 1.0)),
            **dict.fromkeys(("band_offset", "pan_offset"), (0.0, 0.0)),
            **dict.fromkeys(("exposure_chance", "haze_chance"), 0.0),
        },
    ),
    "compression": ("compression", {"compression_chance": 0.0}),
}


def families(args: argparse.Namespace) -> str:
    """Every any-band network on the same builds."""
    names = [name for name, entry in MODELS.items() if entry.any_band]
    rows = {
        name: TrainedRow(label=f"{MODELS[name].family}: {name}", recipe=_recipe(RECIPE), model=name)
        for name in names
    }
    return _part(args, "families", rows)


def simulation(args: argparse.Namespace) -> str:
    """Recipes whole, mixed, and `sensor` less one effect after another."""
    rows = {
        name: TrainedRow(label=f"`{name}`", recipe=_recipe(name))
        for name in ("paper", "sensor", "sensor-clean")
    }
    rows["mixed"] = TrainedRow(
        label="half `sensor`, half `sensor-clean`",
        recipe=_recipe("sensor"),
        shares={"sensor": 0.5, "sensor-clean": 0.5},
    )
    for name, (label, changes) in WITHOUT.items():
        rows[f"no-{name}"] = TrainedRow(
            label=f"`sensor` without {label}", recipe=_without(name, changes)
        )
    return _part(args, "simulation", rows)


def data(args: argparse.Namespace) -> str:
    """Kinds and numbers of photographs, the same number of samples of each."""
    rows = {
        "natural": TrainedRow(
            label="natural photographs, 330", recipe=_recipe(RECIPE), folders=NATURAL, images=330
        ),
        "remote": TrainedRow(
            label="remote-sensing images, 330", recipe=_recipe(RECIPE), folders=REMOTE, images=330
        ),
    }
    for count in (30, 100, 300, 0):
        rows[f"both-{count or 'all'}"] = TrainedRow(
            label=f"both, {count or 'all'}", recipe=_recipe(RECIPE), images=count
        )
    rows["real"] = TrainedRow(
        label=f"real pairs of {', '.join(TRAINING_SENSORS)} by Wald's protocol",
        recipe=_recipe("wald"),
        sensors=TRAINING_SENSORS,
    )
    whole = _part(args, "data", rows)
    real = sorted((args.work / "data").glob("real-[0-9]*.json"))
    if not real:
        return whole
    # That row is scored on scenes of other sensors alone, so the others are too beside it.
    kept = set(json.loads(real[0].read_text())["figures"])
    baseline = read_baseline(args, [])
    baseline = {name: indices for name, indices in baseline.items() if name in kept}
    table = _table(args.work / "data", rows, baseline)
    return f"{whole}\n\nOn {len(baseline)} scenes of other sensors:\n\n{table}"


def _recipe(name: str) -> Callable[[], Recipe]:
    return lambda: find_recipe(name)


def _without(name: str, changes: Mapping[str, object]) -> Callable[[], Recipe]:
    return lambda: find_recipe("sensor").with_fields(name=f"sensor-no-{name}", **changes)


def _part(args: argparse.Namespace, part: str, rows: Mapping[str, TrainedRow]) -> str:
    if unknown := set(args.only) - set(rows):
        raise PanpriorError(f"no row {', '.join(sorted(unknown))}; have: {', '.join(rows)}")
    folder = args.work / part
    folder.mkdir(parents=True, exist_ok=True)
    cases = [] if args.table else read_cases(args.scenes)
    baseline = read_baseline(args, cases)
    names = [name for name in rows if not args.only or name in args.only]
    for seed in [] if args.table else args.seeds:
        for name in names:
            path = folder / f"{name}-{seed}.json"
            if path.exists():
                continue
            row = rows[name]
            shards = shards_of(args, rows, name)
            build = partial(build_model, row.model, **MODELS[row.model].sizes)
            trained = train(build, consistent_l1, shards, seed=seed, args=args)
            scored = [case for case in cases if case.scene.sensor.name not in row.sensors]
            save(path, {"row": name, "figures": figures(trained.net, scored)} | trained.facts)
            print(f"{part}, {name}, seed {seed}: {trained}", flush=True)
    return _table(folder, rows, baseline)


def _table(folder: Path, rows: Mapping[str, TrainedRow], baseline: Figures) -> str:
    lines = [f"| what | seeds | steps | {HEAD}", "|---|---|---|---|---|---|---|"]
    for name, row in rows.items():
        runs = [json.loads(p.read_text()) for p in sorted(folder.glob(f"{name}-[0-9]*.json"))]
        if runs and set(runs[0]["figures"]) >= set(baseline):
            steps = spread([float(run["steps"]) for run in runs]).partition(".")[0]
            cells = relative_cells([run["figures"] for run in runs], baseline)
            lines.append(f"| {row.label} | {len(runs)} | {steps} | {cells}")
    return "\n".join(lines)
