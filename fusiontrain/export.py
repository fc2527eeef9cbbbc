"""Write the first sample of a build as GeoTIFFs: pan.tif, ms.tif and the truth, gt.tif."""

import argparse
from pathlib import Path

from fusiontrain.crops import Example
from fusiontrain.errors import SceneError
from fusiontrain.mapped import Listed, read_sample
from fusiontrain.scenes.output import write_placed
from shards.manifest import Manifest


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
    write_placed(args.out / "gt.tif", sample.gt, pixel=1)
    print(f"fusiontrain: wrote pan.tif, ms.tif and gt.tif in {args.out}")
    return 0


def first_sample(folder: Path) -> Example:
    """The first sample of the first shard."""
    manifest = Manifest.load(folder)
    manifest.check(folder)
    if not manifest.shards:
        raise SceneError(f"{folder} has no samples")
    return read_sample(Listed(folder=folder, manifest=manifest, row=manifest.shards[0]), 0)
