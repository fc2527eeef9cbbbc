"""A page with pictures and indices: a simulated scene, and a real pair if one is given."""

import argparse
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import Progress

from fusiontrain.checkpoints import load_checkpoint
from fusiontrain.errors import SceneError
from fusiontrain.export import first_sample
from fusiontrain.knowledge import Knowledge
from fusiontrain.models.registry import find_model
from fusiontrain.page import Section, write_page
from fusiontrain.protocols import Case, as_table, judge, num_methods, wald
from fusiontrain.reader import Example
from fusiontrain.scenes.geotiff import open_pair
from fusiontrain.scenes.scene import Scene
from shards.manifest import Manifest


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
    sections = []
    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("judging", total=num_methods() * len(cases))
        for case, heading, note in cases:
            halo = find_model(info.model).halo(case.scene.ratio)
            results = judge(case, net, halo=halo, advance=lambda: bar.advance(task))
            sections.append(Section(case=case, results=results, heading=heading, note=note))
    for section in sections:
        print(f"\n{section.heading}\n{as_table(section.results)}")
    training = info.training
    facts = {
        "network": f"{info.model}, {sum(p.numel() for p in net.parameters()):,} parameters",
        "trained": f"{training.get('steps', '?')} steps in {training.get('seconds', '?')} s",
    }
    page = write_page(args.out, sections, facts=facts)
    print(f"\nfusiontrain: wrote {page}")
    return 0


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
    heading = f"A simulated scene: {ms.shape[0]} bands, as {facts.sensor} would see {facts.source}"
    note = "The truth is known. These shards were " + (
        "IN TRAINING: the figures flatter." if seen_in_training else "not in training."
    )
    return case, heading, note


def _real(case: Case, sensor: str | None) -> tuple[Case, str, str]:
    note = (
        "Wald's protocol: the MS is the truth, MS and PAN one level down are the inputs. "
        f"Sensor row: {sensor or 'none, gains of 0.30'}."
    )
    return case, f"A real scene: {case.name}", note
