"""Judge a network against classical methods on a real pair, by Wald's protocol."""

import argparse
import json
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from fusiontrain.checkpoints import load_checkpoint
from fusiontrain.errors import SceneError
from fusiontrain.models.registry import find_model
from fusiontrain.protocols import as_table, judge, num_methods, wald
from fusiontrain.scenes.geotiff import open_pair
from shards.commit import whole_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pan", type=Path)
    parser.add_argument("ms", type=Path)
    parser.add_argument("--weights", type=Path, required=True, help="a .safetensors checkpoint")
    parser.add_argument("--sensor", help="whose MTF degrades the MS; default: 0.30 in all bands")
    parser.add_argument("--out", type=Path, help="also write the indices as JSON here")


def run(args: argparse.Namespace) -> int:
    net, info = load_checkpoint(args.weights)
    if args.out is not None and not args.out.absolute().parent.is_dir():
        raise SceneError(f"no folder for {args.out}; make it first")
    with open_pair(args.pan, args.ms) as pair:
        if pair.note:
            print(f"fusiontrain: {pair.note}")
        case = wald(pair, sensor=args.sensor, name=args.ms.stem)
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("judging", total=num_methods())
        halo = find_model(info.model).halo(case.scene.ratio)
        results = judge(case, net, halo=halo, advance=lambda: bar.advance(task))
    print(f"{case.name}, reduced resolution, {args.sensor or 'no sensor row'}: {case.knowledge}")
    print(as_table(results))
    if args.out is not None:
        rows = {result.method: result.indices for result in results}
        with whole_file(args.out) as file:
            file.write(json.dumps({"case": case.name, "results": rows}, indent=1).encode() + b"\n")
    return 0
