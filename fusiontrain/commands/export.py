"""Write the first sample of a build as GeoTIFFs: pan.tif, ms.tif and the truth, gt.tif."""

import argparse
from pathlib import Path

from fusiontrain.data.shard_file import first_sample
from fusiontrain.errors import SceneError
from fusiontrain.scenes.writer import write_placed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shards", type=Path)
    parser.add_argument("out", type=Path, help="folder for the three files")


def run(args: argparse.Namespace) -> int:
    sample = first_sample(args.shards)
    try:
        args.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SceneError(f"cannot write to {args.out}: {error.strerror}") from error
    write_placed(args.out / "pan.tif", sample.pan, pixel=1)
    write_placed(args.out / "ms.tif", sample.ms, pixel=sample.facts.ratio)
    write_placed(args.out / "gt.tif", sample.truth, pixel=1)
    print(f"fusiontrain: wrote pan.tif, ms.tif and gt.tif in {args.out}")
    return 0
