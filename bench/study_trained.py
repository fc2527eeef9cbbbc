"""Parts of the study that train: builds of photographs, and networks trained alike on them."""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ablate import figures, read_cases, save, spread, train
from study_bar import HEAD, bar_of, row_of
from variants import Variant

from fusiontrain.models.registry import MODELS, build_model
from fusiontrain.scenes.discovery import find_scenes
from fusiontrain.training.losses import consistent_l1
from shards.errors import PanpriorError
from shards.manifest import NAME
from simgen.building.build import run_build
from simgen.config import Build, Recipe
from simgen.recipes import find_recipe

NATURAL, REMOTE = ("imagenet", "bsds500"), ("rsscn7", "naip")  # folders of photographs
TAUGHT = ("GeoEye-1", "Pleiades", "SPOT-6")  # whose real pairs one row learns from
RECIPE = "sensor-clean"  # of what compares networks or photographs, not simulations

# What `sensor` is without each effect; the first four are the seed paper's own words.
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Lesson:
    """What one row trains on, and which network."""

    says: str
    recipe: Callable[[], Recipe]
    folders: tuple[str, ...] = ()  # of --photos; (): all
    images: int = 0  # spread over them; 0: all
    model: str = "anyband"
    sensors: tuple[str, ...] = ()  # of real pairs to learn from, in place of photographs
    shares: dict[str, float] = field(
        default_factory=dict
    )  # of other rows' builds, in place of its own


def families(args: argparse.Namespace) -> str:
    """Every any-band network on the same builds."""
    names = [name for name, entry in MODELS.items() if entry.any_band]
    rows = {
        name: Lesson(says=f"{MODELS[name].family}: {name}", recipe=_recipe(RECIPE), model=name)
        for name in names
    }
    return _part(args, "families", rows)


def simulation(args: argparse.Namespace) -> str:
    """Recipes whole, mixed, and `sensor` less one effect after another."""
    rows = {
        name: Lesson(says=f"`{name}`", recipe=_recipe(name))
        for name in ("paper", "sensor", "sensor-clean")
    }
    rows["mixed"] = Lesson(
        says="half `sensor`, half `sensor-clean`",
        recipe=_recipe("sensor"),
        shares={"sensor": 0.5, "sensor-clean": 0.5},
    )
    for name, (says, changes) in WITHOUT.items():
        rows[f"no-{name}"] = Lesson(says=f"`sensor` without {says}", recipe=_without(name, changes))
    return _part(args, "simulation", rows)


def data(args: argparse.Namespace) -> str:
    """Kinds and numbers of photographs, the same number of samples of each."""
    rows = {
        "natural": Lesson(
            says="natural photographs, 330", recipe=_recipe(RECIPE), folders=NATURAL, images=330
        ),
        "remote": Lesson(
            says="remote-sensing images, 330", recipe=_recipe(RECIPE), folders=REMOTE, images=330
        ),
    }
    for count in (30, 100, 300, 0):
        rows[f"both-{count or 'all'}"] = Lesson(
            says=f"both, {count or 'all'}", recipe=_recipe(RECIPE), images=count
        )
    rows["real"] = Lesson(
        says=f"real pairs of {', '.join(TAUGHT)} by Wald's protocol",
        recipe=_recipe("wald"),
        sensors=TAUGHT,
    )
    whole = _part(args, "data", rows)
    real = sorted((args.work / "data").glob("real-[0-9]*.json"))
    if not real:
        return whole
    # It is judged on the other sensors' scenes alone, so beside the rest on those.
    kept = set(json.loads(real[0].read_text())["figures"])
    bar = {name: found for name, found in bar_of(args, []).items() if name in kept}
    return f"{whole}\n\nOn {len(bar)} scenes of other sensors:\n\n" + _table(
        args.work / "data", rows, bar
    )


def _recipe(name: str) -> Callable[[], Recipe]:
    return lambda: find_recipe(name)


def _without(name: str, changes: Mapping[str, object]) -> Callable[[], Recipe]:
    return lambda: replace(find_recipe("sensor"), name=f"sensor-no-{name}", **changes)  # type: ignore[arg-type]


def _part(args: argparse.Namespace, part: str, rows: Mapping[str, Lesson]) -> str:
    if unknown := set(args.only) - set(rows):
        raise PanpriorError(f"no row {', '.join(sorted(unknown))}; have: {', '.join(rows)}")
    folder = args.work / part
    folder.mkdir(parents=True, exist_ok=True)
    cases = [] if args.table else read_cases(args.scenes)
    bar = bar_of(args, cases)
    asked = [name for name in rows if not args.only or name in args.only]
    for seed in [] if args.table else args.seeds:
        for name in asked:
            path = folder / f"{name}-{seed}.json"
            if path.exists():
                continue
            lesson = rows[name]
            shards = _shards(args, rows, name)
            net, steps, loss = train(
                Variant(
                    group=part,
                    says=lesson.says,
                    build=lambda model=lesson.model: build_model(model, **MODELS[model].sizes),
                    loss=consistent_l1,
                ),
                argparse.Namespace(shards=shards, crop=args.crop, seconds=args.seconds),
                seed,
            )
            judged = [case for case in cases if case.scene.sensor.name not in lesson.sensors]
            found = figures(net, judged, [], registered=True)
            save(path, {"row": name, "seed": seed, "seconds": args.seconds, "steps": steps,
                        "loss": loss, "figures": found})  # fmt: skip
            print(f"{part}, {name}, seed {seed}: {steps} steps, loss {loss:.4f}", flush=True)
    return _table(folder, rows, bar)


def _shards(args: argparse.Namespace, rows: Mapping[str, Lesson], name: str) -> list[str]:
    lesson = rows[name]
    if lesson.shares:
        return [f"{_built(args, rows[one])}:{share}" for one, share in lesson.shares.items()]
    return [str(_built(args, lesson))]


def _built(args: argparse.Namespace, lesson: Lesson) -> Path:
    """The build of a lesson, made if it is not there: as many samples of each, whatever images."""
    if lesson.sensors:
        return _built_of_pairs(args, lesson)
    if args.photos is None:
        raise PanpriorError("this part trains: give --photos, a folder of photographs")
    source, count = _photos(args, lesson)
    recipe = replace(lesson.recipe(), tile=args.tile)
    out = args.work / "shards" / f"{recipe.name}-{source.name}"
    if not (out / NAME).exists():
        whole = len(_listed(args.photos, ()))
        build = Build(
            dataset="folder",
            source=source,
            out=out,
            recipe=recipe,
            bands=(4,),
            draws=max(1, -(-whole // count)),
            limit=whole,
            shard_size=64,
        )
        run_build(build, workers=1)
    return out


def _built_of_pairs(args: argparse.Namespace, lesson: Lesson) -> Path:
    """Tiles no larger than the crops: an MS is a few crops wide."""
    out: Path = args.work / "shards" / lesson.recipe().name
    if (out / NAME).exists():
        return out
    folder: Path = args.work / "pairs"
    folder.mkdir(parents=True, exist_ok=True)
    for entry in find_scenes(args.scenes):
        if entry.pan is None or entry.load().sensor.name not in lesson.sensors:
            continue
        beside = entry.pan.with_name(f"{entry.name}.json")
        for path in (entry.pan, *entry.ms, *([beside] if beside.is_file() else [])):
            if not (folder / path.name).is_symlink():
                (folder / path.name).symlink_to(path.resolve())
    recipe = replace(lesson.recipe(), tile=min(args.tile, args.crop))
    run_build(
        Build(dataset="scene", source=folder, out=out, recipe=recipe, bands=(4,), shard_size=64),
        workers=1,
    )
    return out


def _photos(args: argparse.Namespace, lesson: Lesson) -> tuple[Path, int]:
    """A folder of links to the photographs of a lesson, and how many there are."""
    everything = _listed(args.photos, lesson.folders)
    count = min(lesson.images or len(everything), len(everything))
    if not count:
        raise PanpriorError(f"no photographs in {' '.join(lesson.folders)} below {args.photos}")
    if not lesson.folders and count == len(everything):
        return args.photos, count
    chosen = [everything[i * len(everything) // count] for i in range(count)]
    folder = args.work / "photos" / "-".join([*lesson.folders, str(count)])
    folder.mkdir(parents=True, exist_ok=True)
    for number, path in enumerate(chosen):
        link = folder / f"{number:05d}{path.suffix}"
        if not link.is_symlink():
            link.symlink_to(path.resolve())
    return folder, count


def _listed(photos: Path, folders: Sequence[str]) -> list[Path]:
    roots = [photos / name for name in folders] or [photos]
    endings = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp"}
    return sorted(p for root in roots for p in root.rglob("*") if p.suffix.lower() in endings)


def _table(folder: Path, rows: Mapping[str, Lesson], bar: dict[str, dict[str, float]]) -> str:
    lines = [f"| what | seeds | steps | {HEAD}", "|---|---|---|---|---|---|---|"]
    for name, lesson in rows.items():
        runs = [json.loads(p.read_text()) for p in sorted(folder.glob(f"{name}-[0-9]*.json"))]
        if runs and set(runs[0]["figures"]) >= set(bar):
            steps = spread([float(run["steps"]) for run in runs]).partition(".")[0]
            measured = row_of([run["figures"] for run in runs], bar)
            lines.append(f"| {lesson.says} | {len(runs)} | {steps} | {measured}")
    return "\n".join(lines)
