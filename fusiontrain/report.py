"""A page with pictures and indices: a simulated scene, and a real pair if one is given."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import Progress

from fusiontrain.checkpoints import load_checkpoint
from fusiontrain.errors import SceneError
from fusiontrain.export import first_sample
from fusiontrain.knowledge import Knowledge
from fusiontrain.models.registry import find_model
from fusiontrain.page import View, write_page
from fusiontrain.pictures import colour_webp, error_webp, middle, stretch_of
from fusiontrain.protocols import BETTER_HIGH, Case, Result, judge, num_methods, wald
from fusiontrain.reader import Example
from fusiontrain.scenes.geotiff import open_pair
from fusiontrain.scenes.scene import Scene
from fusiontrain.tables import Row, all_as_html, as_text, scene_tables
from shards.commit import whole_file
from shards.manifest import Manifest

SIDE = 512  # pixels of a picture: few scenes, so they may be large
MS_QUALITY = 95  # an MS pixel is shown as many


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """A case, where it is from, and what came out."""

    case: Case
    sensor: str
    note: str
    results: list[Result]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--shards", type=Path, help="judge the first sample of this build")
    parser.add_argument("--pan", type=Path, help="a real pair: judged by Wald's protocol")
    parser.add_argument("--ms", type=Path)
    parser.add_argument("--sensor", help="the real pair's sensor; default: 0.30 in all bands")
    parser.add_argument("--out", type=Path, required=True)


def run(args: argparse.Namespace) -> int:
    if (args.pan is None) != (args.ms is None) or (args.pan is None and args.shards is None):
        raise SceneError("give --shards, or --pan and --ms together, or all three")
    net, info = load_checkpoint(args.weights)
    args.out.mkdir(parents=True, exist_ok=True)  # before the work, lest it be for nothing
    cases: list[tuple[Case, str, str]] = []
    if args.shards is not None:
        seen = Manifest.load(args.shards).digest in info.training.get("manifests", ())
        cases.append(_simulated(first_sample(args.shards), seen_in_training=seen))
    if args.pan is not None:
        with open_pair(args.pan, args.ms) as pair:
            cases.append(_real(wald(pair, sensor=args.sensor, name=args.ms.stem), args.sensor))
    judged = []
    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("judging", total=num_methods() * len(cases))
        halo = find_model(info.model).halo
        for case, sensor, note in cases:
            results = judge(
                case, net, halo=halo(case.scene.ratio), advance=lambda: bar.advance(task)
            )
            judged.append(Judged(case=case, sensor=sensor, note=note, results=results))
    training = info.training
    facts = {
        "network": f"{info.model}, {sum(p.numel() for p in net.parameters()):,} parameters",
        "trained": f"{training.get('steps', '?')} steps in {training.get('seconds', '?')} s",
        "versions": f"panprior {version('panprior')}, torch {torch.__version__}",
    }
    print(f"\nfusiontrain: wrote {_write(args.out, judged, facts)}")
    return 0


def _write(folder: Path, judged: Sequence[Judged], facts: dict[str, str]) -> Path:
    """results.json and at last index.html, whose path is returned; tables on the terminal."""
    indices = {j.case.name: {r.method: r.indices for r in j.results} for j in judged}
    with whole_file(folder / "results.json") as file:
        file.write(json.dumps(indices, indent=1).encode() + b"\n")
    rows = [
        Row(
            scene=j.case.name,
            sensor=j.sensor,
            protocol="reduced",
            method=r.method,
            indices=r.indices,
        )
        for j in judged
        for r in j.results
    ]
    tables = scene_tables(rows, better_high=BETTER_HIGH)
    for table in tables:
        print(f"\n{as_text(table)}")
    write_page(
        folder / "index.html",
        title="panprior: zero-shot pansharpening",
        facts=facts,
        views=[_view(j) for j in judged],
        better_high=BETTER_HIGH,
        tables=[("Every scene", all_as_html(tables))],
    )
    return folder / "index.html"


def _view(judged: Judged) -> View:
    case, scene = judged.case, judged.case.scene
    stretch = stretch_of(case.truth)
    box = middle(scene.shape, side=SIDE, ratio=scene.ratio)
    fine = box.scaled(scene.ratio)
    pictures = {
        "PAN": colour_webp(scene.pan, stretch_of(scene.pan), fine),
        "MS": colour_webp(scene.ms, stretch, box, quality=MS_QUALITY),
        "truth": colour_webp(case.truth, stretch, fine),
    }
    return View(
        scene=case.name,
        sensor=judged.sensor,
        protocol="reduced",
        note=f"{judged.note} Told to every method: {case.knowledge}.",
        pictures=pictures | {r.method: colour_webp(r.fused, stretch, fine) for r in judged.results},
        errors={r.method: error_webp(case.truth, r.fused, fine) for r in judged.results},
        indices={r.method: r.indices for r in judged.results},
        origins={},
    )


def _simulated(sample: Example, *, seen_in_training: bool) -> tuple[Case, str, str]:
    facts = sample.facts
    ms, pan, gt = (
        torch.from_numpy(x.astype("float32")) for x in (sample.ms, sample.pan, sample.gt)
    )
    case = Case(
        name="simulated",
        scene=Scene(name="simulated", ms=ms, pan=pan),
        knowledge=Knowledge(mtf=torch.tensor(facts.mtf_ms), softness=torch.tensor(facts.softness)),
        truth=gt,
    )
    note = (
        f"A simulated scene: {ms.shape[0]} bands, as {facts.sensor} would see {facts.source}. "
        "The truth is known. These shards were "
        + ("IN TRAINING: the figures flatter." if seen_in_training else "not in training.")
    )
    return case, facts.sensor, note


def _real(case: Case, sensor: str | None) -> tuple[Case, str, str]:
    note = (
        "A real scene by Wald's protocol: the MS is the truth, MS and PAN one level down are the "
        "inputs. "
        f"Sensor row: {sensor or 'none, gains of 0.30'}."
    )
    return case, sensor or "no sensor row", note
