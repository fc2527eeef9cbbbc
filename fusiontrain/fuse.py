"""Fuse a PAN and an MS GeoTIFF into one: the MS's bands on the PAN's grid."""

import argparse
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from fusiontrain.checkpoints import load_checkpoint
from fusiontrain.errors import SceneError
from fusiontrain.fusing import fuse_windows, scene_statistics, scene_tiles
from fusiontrain.knowledge import learn
from fusiontrain.models.registry import find_model
from fusiontrain.scenes.geotiff import create_fused, open_pair
from shards.manifest import file_sha256
from shards.sensors import find_sensor


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pan", type=Path)
    parser.add_argument("ms", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--weights", type=Path, required=True, help="a .safetensors checkpoint")
    parser.add_argument("--model", help="refuse weights of any other model")
    parser.add_argument("--sensor", default="auto", help="a known sensor; auto: measured")
    parser.add_argument(
        "--softness", default="auto", help="0.05 (soft) to 0.95 (crisp); auto: as the MS itself"
    )


def run(args: argparse.Namespace) -> int:
    net, info = load_checkpoint(args.weights, expect=args.model)
    softness = parse_softness(args.softness)
    sensor = None if args.sensor == "auto" else find_sensor(args.sensor)
    with open_pair(args.pan, args.ms) as pair:
        if pair.note:
            print(f"fusiontrain: {pair.note}")
        knowledge = learn(pair, sensor=sensor, softness=softness)
        print(f"fusiontrain: {pair.bands} bands, ratio {pair.ratio}, {args.sensor}: {knowledge}")
        tags = {
            "PANPRIOR_MODEL": info.model,
            "PANPRIOR_WEIGHTS_SHA256": file_sha256(args.weights),
            "PANPRIOR_KNOWLEDGE": str(knowledge),
        }
        halo = find_model(info.model).halo(pair.ratio)
        with (
            Progress(console=Console(stderr=True)) as bar,
            create_fused(args.out, pair, tags) as file,
        ):
            task = bar.add_task("statistics", total=len(scene_tiles(pair, halo=0)))
            stats = scene_statistics(pair, knowledge, advance=lambda: bar.advance(task))
            task = bar.add_task("fusing", total=len(scene_tiles(pair, halo=halo)))
            for part in fuse_windows(pair, net, knowledge, halo=halo, statistics=stats):
                file.write(part.core, part.fused, part.valid)
                bar.advance(task)
        h, w = (side * pair.ratio for side in pair.shape)
        print(f"fusiontrain: wrote {args.out}: {pair.bands} x {h} x {w}, {pair.dtype}")
    return 0


def parse_softness(text: str) -> float | None:
    """None for auto. Raises: SceneError unless a number in 0.05..0.95."""
    if text == "auto":
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.05 <= value <= 0.95:
        raise SceneError(f"--softness is auto or a number from 0.05 to 0.95; got {text!r}")
    return value
