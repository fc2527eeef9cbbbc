"""A page with pictures and indices: a simulated scene, and a real pair if one is given."""

import argparse
from importlib.metadata import version
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import Progress

from fusiontrain.classical import METHODS
from fusiontrain.data.crops import Sample
from fusiontrain.data.shard_file import first_sample
from fusiontrain.errors import SceneError
from fusiontrain.evaluation.contenders import classical, load_networks, score
from fusiontrain.evaluation.protocols import Case, reduced, simulated
from fusiontrain.evaluation.results import BenchmarkResults
from fusiontrain.evaluation.score_image import BETTER_HIGH
from fusiontrain.evaluation.tables import print_grid, scene_tables, score_grid
from fusiontrain.scenes.geotiff import read_scene
from shards.manifest import Manifest
from shards.sensors import find_sensor

SIDE = 512  # PAN pixels of a picture: few scenes, so they may be large


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--weights", type=Path, nargs="+", required=True, help=".safetensors, default or small"
    )
    parser.add_argument("--shards", type=Path, help="score on the first sample of this build")
    parser.add_argument("--pan", type=Path, help="a real pair: scored by Wald's protocol")
    parser.add_argument("--ms", type=Path)
    parser.add_argument("--sensor", help="the real pair's sensor; default: 0.30 in all bands")
    parser.add_argument("--out", type=Path, required=True)


def run(args: argparse.Namespace) -> int:
    if (args.pan is None) != (args.ms is None) or (args.pan is None and args.shards is None):
        raise SceneError("give --shards, or --pan and --ms together, or all three")
    networks = list(load_networks(args.weights))
    args.out.mkdir(parents=True, exist_ok=True)  # early, so that a bad path fails fast
    cases: list[tuple[Case, str]] = []
    if args.shards is not None:
        digest = Manifest.load(args.shards).digest
        trained_on = any(digest in net.info.training.get("manifests", ()) for net in networks)
        cases.append(_simulated(first_sample(args.shards), in_training=trained_on))
    if args.pan is not None:
        row = find_sensor(args.sensor or "generic")
        scene = read_scene(args.pan, args.ms, name=args.ms.stem, sensor=row)
        cases.append((reduced(scene), "A real scene; the MS is the truth."))
    facts = {net.name: net.description for net in networks}
    facts["versions"] = f"panprior {version('panprior')}, torch {torch.__version__}"
    contenders = [*classical(list(METHODS)), *networks]
    results = BenchmarkResults(
        folder=args.out, title="panprior: zero-shot pansharpening", facts=facts, side=SIDE
    )
    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("scoring", total=len(contenders) * len(cases))
        for case, note in cases:
            recorder = results.record(case, note)
            for result in score(case, contenders):
                recorder.add(result)
                bar.advance(task)
            recorder.close()
    for table in scene_tables(results.rows, better_high=BETTER_HIGH):
        print_grid(score_grid(table), Console())
    print(f"\nfusiontrain: wrote {results.write()[-1]}")
    return 0


def _simulated(sample: Sample, *, in_training: bool) -> tuple[Case, str]:
    case = simulated(sample, "simulated")
    facts = sample.facts
    note = (
        f"A simulated scene: {case.scene.bands} bands, as {facts.sensor} would see {facts.source}. "
        "The truth is known. These shards were "
        + ("IN TRAINING: the figures flatter." if in_training else "not in training.")
    )
    return case, note
